// Elements without HTML text: everything that comes from a server or a child becomes a text node or an
// attribute's value here, so that nothing a task prints can ever be markup, and is made visible where it is read.

import { visible } from "./visible.js";

const SVG = "http://www.w3.org/2000/svg";
const READ = new Set(["title", "aria-label", "aria-valuetext", "placeholder"]); // attributes that people read

/**
 * An element: h("button.quiet", {title: "Stop", onclick: stop}, icon("stop"), "Stop").
 * Properties that begin with "on" are listeners; true and false set and remove attributes; null leaves out.
 */
export function h(what, properties, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : READ.has(name) ? visible(String(value)) : value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : visible(String(child)));
  }
}

/** One of the icons in index.html; decoration only, the words beside it or the label say the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Another icon in an element made by icon(). */
export function setIcon(svg, name) {
  const href = `#i-${name}`;
  if (svg.firstChild.getAttribute("href") !== href) svg.firstChild.setAttribute("href", href);
}

/** A button with an icon; `label` is its accessible name, shown as a tooltip unless `text` is. */
export function iconButton(name, label, onclick, { text = "", key = "", kind = "quiet" } = {}) {
  const title = key ? `${label} (${key})` : label;
  return h(`button.${kind}`, { type: "button", title, "aria-label": text ? null : label, onclick }, icon(name), text);
}

/** Whether a toggle is pressed. */
export const isPressed = (button) => button.getAttribute("aria-pressed") === "true";

/** Press or release a toggle; returns whether it is pressed now. */
export function flip(button) {
  button.setAttribute("aria-pressed", String(!isPressed(button)));
  return isPressed(button);
}

/** A button that is pressed or not; `changed` is called once a click has turned it over. */
export function toggle(text, about, changed) {
  const button = h("button.toggle", { type: "button", title: about, "aria-label": about, "aria-pressed": "false" }, text);
  button.addEventListener("click", () => (flip(button), changed()));
  return button;
}

/** Set a text only when it differs, so that nothing is laid out again for nothing. */
export function setText(element, text) {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** A name within a sentence: however it is written, from the right or the left, the words around it stay. */
export const named = (name) => h("bdi", null, name);

/** Replace all children. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** A function that runs `paint` once in the next frame, however often it is called before. */
export function inFrame(paint) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      paint();
    });
  };
}

let unique = 0;

/** An id that no other element has. */
export function newId(prefix = "e") {
  unique += 1;
  return `${prefix}${unique}`;
}

/** Let the browser save text as a file. */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
