// The page of tokens, at #tokens: what the page is made of, in both themes, with the contrast of each pair of ink and
// ground that is used. For those who work on the page; nothing leads here.

import { fill, h } from "./dom.js";
import { STATES } from "./states.js";
import { statusOf } from "./runwords.js";

const GROUNDS = ["bg", "panel", "raised", "sunk", "hover", "chosen"];
const STATE_INKS = ["running", "queued", "waiting", "errored", "failed", "stopped", "succeeded", "lost"];
const INKS = ["ink", "muted", "accent", "danger", ...STATE_INKS];
const PAIRS = [
  ["on-accent", "accent"],
  ["on-danger", "danger"],
  ["danger", "warn-bg"],
  ["waiting", "gap-bg"],
  ["ink", "mark"],
  ["rail-ink", "rail"],
  ["rail-muted", "rail"],
  ["rail-muted", "rail-hover"],
  ["lamp", "rail"],
];
const TYPE = ["tiny", "small", "table", "body", "lead", "title", "display"];
const SPACES = ["s1", "s2", "s3", "s4", "s5", "s6", "s7"];
const ENOUGH = 4.5; // of contrast, WCAG AA for text

export class TokenPage {
  constructor(app, place) {
    this.#place = place;
  }

  #place;

  shown() {
    if (this.#place.firstChild) return;
    fill(this.#place, h("h2", null, "Tokens"), typeOf(), spacesOf(), h("div.themes", null, themeOf("light"), themeOf("dark")));
    for (const cell of this.#place.querySelectorAll(".pair")) measure(cell);
  }
}

const typeOf = () =>
  h(
    "section",
    null,
    h("h3", null, "Type"),
    TYPE.map((name) => sized("p", "fontSize", `text-${name}`, `${name}: Watch what runs, and what it says`)),
    h("p", null, h("code", null, "code: 2026-11-27T19:36:21.042Z exit 0")),
  );

const spacesOf = () =>
  h(
    "section",
    null,
    h("h3", null, "Spacing and shape"),
    h("div.row", null, SPACES.map((name) => sized("span.space", "width", name, name))),
    h("div.row", null, ["r1", "r2", "r3", "round"].map((name) => sized("span.shape", "borderRadius", name, name))),
  );

function themeOf(theme) {
  const states = Object.keys(STATES).map((status) => h("li", null, statusOf({ status })));
  return h(
    `section.theme-${theme}`,
    { "aria-label": theme },
    h("h3", null, theme),
    h("div.pairs", null, GROUNDS.flatMap((ground) => INKS.map((ink) => pair(ink, ground))), PAIRS.map(([ink, ground]) => pair(ink, ground))),
    h("ul.row", null, states),
    h("div.row", null, h("button.primary", { type: "button" }, "Primary"), h("button", { type: "button" }, "Button"), h("button.danger", { type: "button" }, "Danger"), h("button.quiet", { type: "button" }, "Quiet")),
  );
}

function pair(ink, ground) {
  const cell = h("span.pair", { "data-pair": `${ink} on ${ground}` }, `${ink} on ${ground} `, h("b"));
  cell.style.color = `var(--${ink})`;
  cell.style.background = `var(--${ground})`;
  return cell;
}

function sized(tag, property, token, text) {
  const element = h(tag, null, text);
  element.style[property] = `var(--${token})`;
  return element;
}

function measure(cell) {
  const { color, backgroundColor } = getComputedStyle(cell);
  const [one, other] = [lightness(color), lightness(backgroundColor)].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  cell.lastChild.textContent = ratio.toFixed(1);
  cell.classList.toggle("too-little", ratio < ENOUGH);
}

// The relative luminance of a colour, as WCAG has it.
function lightness(colour) {
  const [red, green, blue] = colour.match(/[\d.]+/g).map((part) => {
    const share = Number(part) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
