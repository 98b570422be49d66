// Elements. Whatever comes from the server goes in as text, never as markup.

const byId = (id) => document.getElementById(id);

/** An element with attributes and children. A child is a node or a text; what is null is left out. */
function make(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same in SVG. */
function makeSvg(name, attributes, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(node, name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Changes nothing that is so already: a selection and what is read out stay undisturbed. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

/** Text from a record, a client or a registry, whose direction cannot reach what stands around it. */
const foreign = (text, className) => make("bdi", { class: className }, text);

/**
 * Brings the children of `parent` in line with `items`: a child for each, in their order, made anew only where what it
 * shows has changed. So focus, selection and scrolling survive a refresh.
 */
function reconcile(parent, items, keyOf, render) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const shown = JSON.stringify(item);
    let child = known.get(key);
    known.delete(key);
    if (child === undefined || child.shown !== shown) {
      const fresh = render(item);
      fresh.dataset.key = key;
      fresh.shown = shown;
      if (child !== undefined) {
        if (child === place) place = fresh;
        child.replaceWith(fresh);
      }
      child = fresh;
    }
    if (child === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(child, place);
    }
  }
  known.forEach((child) => child.remove());
}

/** A table body by its id, with the sentence that stands for no rows. */
function fillTable(name, items, keyOf, render, empty) {
  reconcile(byId(`${name}-rows`), items, keyOf, render);
  byId(`${name}-rows`).closest(".scroll").hidden = items.length === 0;
  const sentence = byId(`${name}-empty`);
  if (sentence !== null) {
    sentence.hidden = items.length > 0;
    if (empty !== undefined) setText(sentence, empty);
  }
}
