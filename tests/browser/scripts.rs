//! What is asked of the page from within.

/// Every text that is seen, with the contrast between its colour and what it stands on, where that is below what it needs
/// (WCAG 2, 1.4.3: 4.5 to 1, large text 3 to 1).
pub(super) const LOW_CONTRAST: &str = r"
const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
const over = ([r, g, b, a = 1], under) => [r, g, b].map((value, at) => value * a + under[at] * (1 - a));
const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = (rgb) => { const [r, g, b] = rgb.map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const background = (node) => node === null ? [255, 255, 255]
    : over(channels(getComputedStyle(node).backgroundColor), background(node.parentElement));
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const low = [];
let seen = 0;
while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || node.closest('script, noscript, .unseen') || node.offsetParent === null) continue;
    const style = getComputedStyle(node);
    const under = background(node);
    const pair = [luminance(over(channels(style.color), under)), luminance(under)].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if (contrast < (large ? 3 : 4.5)) low.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
}
return { low, seen };";

/// What the keyboard has to reach, in the order in which it stands in the document.
pub(super) const REACHABLE: &str = r#"
const all = [...document.querySelectorAll('a[href], button, input, [tabindex="0"]')];
return all.filter((node) => node.checkVisibility()).map((node) => node.id || node.getAttribute('aria-labelledby') || node.getAttribute('href'));"#;

/// What has the focus, and whether that is seen.
pub(super) const FOCUSED: &str = r"
const node = document.activeElement;
const { outlineStyle, outlineWidth } = getComputedStyle(node);
return {
    name: node === document.body ? null : node.id || node.getAttribute('aria-labelledby') || node.getAttribute('href'),
    seen: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2,
};";

/// Elements that reach beyond the width of the window, those that can be scrolled to aside.
pub(super) const TOO_WIDE: &str = r"
const wide = [...document.body.querySelectorAll('*')].filter((node) =>
    node.getBoundingClientRect().right > innerWidth + 1 && !node.closest('.scroll, nav, svg, .unseen'));
return { wide: wide.map((node) => node.outerHTML.slice(0, 100)), scrolls: document.documentElement.scrollWidth > innerWidth };";
