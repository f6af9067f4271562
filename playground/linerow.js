// One row of a viewer as DOM: number, task, time, and the text or a part of it; or a row of unfolded JSON.

import { draw } from "./ansi.js";
import { h } from "./dom.js";
import { clock, count } from "./format.js";
import { marked, nodesOf } from "./linetext.js";
import { KIND } from "./tasklog.js";
import { rangeOf, whole } from "./wrap.js";

const LONGEST = 3000; // characters of a line in one row; unfold or wrap it to see the rest
const CLASSES = {
  [KIND.out]: "out",
  [KIND.err]: "err",
  [KIND.note]: "note",
  [KIND.gap]: "gap",
  [KIND.bad]: "bad",
  [KIND.begun]: "note.begun",
  [KIND.ended]: "note.ended",
  [KIND.broke]: "bad.ended",
};

const OVERWRITTEN = "Redrawn in place many times; the server kept only its end";

/** A line as a terminal would show it, {pieces, length}; kept for those that take long. */
export function drawn(line) {
  if (line.drawn) return line.drawn;
  const result = draw(line.text, line.style, LONGEST);
  if (line.text.length > LONGEST) line.drawn = result;
  return result;
}

/** An empty row. */
export function makeRow() {
  const parts = {
    fold: h("span.fold"),
    number: h("a.number", { tabindex: "-1" }),
    mark: h("span.mark"),
    who: h("span.who"),
    time: h("span.time"),
    text: h("span.text"),
  };
  const row = h("div.line", null, Object.values(parts));
  row.parts = parts;
  return row;
}

/**
 * Fill a row with a line, or with a part of it: `sub` of its JSON, or the row `part` of those it takes in `columns`
 * cells (0: all of it in one). `how`: pattern; times and numbers, whether they are shown; fold ("", "closed" or
 * "open"); who (number): {name, hue}, whose line it is.
 */
export function showRow(row, { number, line, sub, part = 0 }, how) {
  const { parts } = row;
  const first = !sub && !part;
  row.className = sub ? `line sub k-${sub.kind}` : `line ${CLASSES[line.kind].replace(".", " ")}`;
  row.dataset.part = part ? "rest" : "";
  parts.fold.className = first ? `fold ${how.fold}` : "fold";
  parts.mark.textContent = first && line.kind === KIND.err ? "err" : "";
  parts.time.textContent = first && how.times ? clock(line.ts) : "";
  // Drawn by the style sheet: it is no part of the text. It becomes a link where somebody reaches for it: see LineHands.
  parts.number.dataset.number = first && how.numbers && line.kind <= KIND.err && Number.isFinite(line.seq) ? line.seq : "";
  parts.number.removeAttribute("href");
  const who = first ? how.who?.(number) : null;
  parts.who.className = who ? `who hue-${who.hue}` : "who";
  parts.who.textContent = who?.name ?? "";
  if (sub) showSub(parts.text, sub);
  else parts.text.replaceChildren(...textOf(line, part, how));
}

function textOf(line, part, { pattern, columns }) {
  if (line.kind > KIND.err) return marked(line.text, pattern);
  const { pieces, length } = columns ? whole(line) : drawn(line);
  const [from, to] = columns ? rangeOf(line, columns, part) : [0, LONGEST];
  const nodes = nodesOf(pieces, [from, to], pattern);
  if (to < length) {
    if (!columns) nodes.push(h("span.more", null, ` … ${count(length - LONGEST)} more characters`));
    return nodes;
  }
  if (line.overwritten) nodes.push(h("span.more", { title: OVERWRITTEN }, " ↺"));
  if (line.truncated) nodes.push(h("span.more", null, " … cut off by the server"));
  return nodes;
}

/** Redraw in `place` the unfinished lines, each with a cursor at its end. */
export function showPartials(place, lines, how) {
  while (place.children.length > lines.length) place.lastChild.remove();
  while (place.children.length < lines.length) place.append(makeRow());
  lines.forEach((line, at) => {
    const row = place.children[at];
    showRow(row, { line, sub: null }, { ...how, columns: 0, fold: "", who: line.who ? () => line.who : null });
    row.classList.add("partial");
    row.parts.text.append(h("span.cursor", { role: "img", "aria-label": "unfinished" }));
  });
}

function showSub(element, { depth, key, text, kind, folded }) {
  const nodes = [h("span.indent", null, "\u00a0".repeat(depth * 2))];
  if (kind === "fold") nodes.push(h(`span.fold.${folded ? "closed" : "open"}`));
  if (key) nodes.push(h("span.key", null, key), ": ");
  nodes.push(h(`span.j-${kind}`, null, text));
  element.replaceChildren(...nodes);
}
