// The head of the page: state, notices, and the numbers that tell at a glance whether all is well.

/** What each tile shows of a status. */
const TILES = [
  {
    name: "Connections",
    value: (status) => count(status.connections),
    note: (status) => `${count(status.totals.connections)} since the start`,
    values: (history) => history.connections,
    show: count,
  },
  {
    name: "Requests per second",
    value: (status) => rate(latest(status.history.requests_per_second)),
    note: (status) => `${count(status.totals.requests)} since the start`,
    values: (history) => history.requests_per_second,
    show: rate,
  },
  {
    name: "Records per second",
    value: (status) => rate(latest(status.history.records_per_second)),
    note: (status) => `${count(status.totals.records.accepted)} accepted`,
    values: (history) => history.records_per_second,
    show: rate,
  },
  {
    name: "Rejected per second",
    tone: "bad",
    value: (status) => rate(latest(status.history.rejected_per_second)),
    note: ({ totals: { records } }) => `${count(records.rejected)} rejected, ${count(records.observed)} observed`,
    values: (history) => history.rejected_per_second,
    second: (history) => history.observed_per_second,
    show: rate,
  },
  {
    name: "From clients per second",
    value: (status) => bytes(latest(status.history.bytes_from_clients_per_second)),
    note: (status) => `${bytes(status.totals.bytes_from_clients)} since the start`,
    values: (history) => history.bytes_from_clients_per_second,
    show: bytes,
  },
  {
    name: "Memory in use",
    value: (status) => bytes(status.memory_budget.used_bytes),
    note: (status) => `of ${bytes(status.memory_budget.bytes)}; ${plural(status.sequence_gaps_open, "sequence gap", "sequence gaps")} open`,
    level: ({ memory_budget: { used_bytes, bytes: all } }) => (all > 0 ? used_bytes / all : 0),
  },
];

const latest = (values) => values[values.length - 1] ?? 0;

function makeTile(tile) {
  const picture = tile.level === undefined
    ? makeSparkline()
    : make("div", { class: "level", "aria-hidden": "true" }, make("div"));
  const value = make("p", { class: "tile-value" });
  const peak = make("p", { class: "quiet" });
  const note = make("p", { class: "tile-note quiet" });
  const node = make("li", { class: `tile ${tile.tone ?? ""}` }, make("h3", {}, tile.name),
    make("div", { class: "tile-head" }, value, peak), picture, note);
  return Object.assign(node, { parts: { value, peak, note, picture } });
}

function showTiles(status) {
  const list = byId("tiles");
  if (list.children.length === 0) list.append(...TILES.map(makeTile));
  TILES.forEach((tile, index) => {
    const { value, peak, note, picture } = list.children[index].parts;
    setText(value, tile.value(status));
    setText(note, tile.note(status));
    if (tile.level !== undefined) {
      picture.firstElementChild.style.width = `${(tile.level(status) * 100).toFixed(1)}%`;
      return;
    }
    const { history } = status;
    setText(peak, `peak ${tile.show(Math.max(0, ...tile.values(history)))}`);
    drawSparkline(picture, {
      values: tile.values(history),
      second: tile.second?.(history),
      seconds: history.interval_seconds,
      name: tile.name,
      show: tile.show,
    });
  });
}

/** The word for the state of the process, and its tone. */
function stateOf(status) {
  if (status.draining) return ["warn", "Draining"];
  return status.ready ? ["good", "Ready"] : ["bad", "Not ready"];
}

function showIdentity(status) {
  const [tone, word] = stateOf(status);
  const state = byId("state");
  setText(state, word);
  setAttribute(state, "class", `state ${tone}`);
  setText(byId("version"), status.version);
  setText(byId("uptime"), `up ${duration(status.uptime_seconds)}`);
  document.title = `${word} – schemaward`;
}

/** What an operator should know, the worst first. Nothing in it changes from second to second: it is read out. */
function noticesOf(status) {
  const notices = [];
  const add = (tone, text) => notices.push({ tone, text });
  if (!status.ready) add("bad", `Not ready: ${status.message ?? "no reason is known"}`);
  else if (status.message) add("warn", status.message);
  for (const registry of status.registries.filter((it) => it.circuit === "open")) {
    add("bad", `${registry.url} does not answer and is left in peace.`);
  }
  const { used_bytes: used, bytes: all } = status.memory_budget;
  if (all > 0 && used >= all * 0.9) add("warn", "The memory budget is nearly spent: connections wait.");
  const reload = reloadOf(status);
  if (reload?.outcome === "failed") {
    add("bad", "The last reload of the configuration failed: what was in force before still is.");
  } else if (reload?.needs_restart?.length > 0) {
    add("warn", "The configuration file says something that needs a restart.");
  }
  return notices;
}

function showNotices(notices) {
  const words = { bad: "Problem", warn: "Note", info: "Note" };
  reconcile(byId("notices"), notices, (notice) => notice.text, ({ tone, text }) =>
    make("p", { class: `notice ${tone}` }, make("strong", {}, words[tone]), foreign(text)));
}
