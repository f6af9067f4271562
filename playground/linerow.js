// One row of a viewer as DOM: number, time, text with colours and highlights; or a row of unfolded JSON.

import { h } from "./dom.js";
import { clock, count } from "./format.js";
import { draw, look, plain } from "./ansi.js";
import { visible } from "./visible.js";
import { KIND } from "./tasklog.js";

const LONGEST = 3000; // characters of a line, as it is shown, that are put into the page; unfold it to see the rest
const CLASSES = { [KIND.out]: "out", [KIND.err]: "err", [KIND.note]: "note", [KIND.gap]: "gap", [KIND.bad]: "bad" };

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
  const fold = h("span.fold");
  const mark = h("span.mark");
  const time = h("span.time");
  const text = h("span.text");
  const row = h("div.line", null, fold, mark, time, text);
  row.parts = { fold, mark, time, text };
  return row;
}

/** Fill a row with a line, or with a part `sub` of it. `fold`: "", "closed" or "open". */
export function showRow(row, { line, sub }, { pattern, times, fold }) {
  const { parts } = row;
  if (sub) {
    row.className = `line sub k-${sub.kind}`;
    parts.fold.className = "fold";
    parts.mark.textContent = "";
    parts.time.textContent = "";
    showSub(parts.text, sub);
    return;
  }
  row.className = `line ${CLASSES[line.kind]}`;
  parts.fold.className = `fold ${fold}`;
  parts.mark.textContent = line.kind === KIND.err ? "err" : "";
  parts.time.textContent = times ? clock(line.ts) : "";
  if (line.kind > KIND.err) {
    const text = visible(line.text);
    parts.text.replaceChildren(...(pattern ? split(text, 0, matches(text, pattern)) : [text]));
    return;
  }
  const { pieces: found, length } = drawn(line);
  const nodes = [];
  const ranges = pattern ? matches(found.map((piece) => piece.text).join(""), pattern) : [];
  let at = 0;
  for (const piece of found) {
    const parts = pattern ? split(piece.text, at, ranges) : [piece.text];
    at += piece.text.length;
    if (!piece.style) {
      nodes.push(...parts);
      continue;
    }
    const { names, fg, bg } = look(piece.style);
    const span = h(["span", ...names].join("."), null, parts);
    // Through the object model, which the page's policy allows; a style attribute it would not.
    if (fg) span.style.setProperty("--a-fg", fg);
    if (bg) span.style.setProperty("--a-bg", bg);
    nodes.push(span);
  }
  if (length > LONGEST) nodes.push(h("span.more", null, ` … ${count(length - LONGEST)} more characters`));
  if (line.overwritten) nodes.push(h("span.more", { title: OVERWRITTEN }, " ↺"));
  if (line.truncated) nodes.push(h("span.more", null, " … cut off by the server"));
  parts.text.replaceChildren(...nodes);
}

/** Redraw in `place` the unfinished lines, each with a cursor at its end. */
export function showPartials(place, lines, how) {
  while (place.children.length > lines.length) place.lastChild.remove();
  while (place.children.length < lines.length) place.append(makeRow());
  lines.forEach((line, at) => {
    const row = place.children[at];
    showRow(row, { line, sub: null }, { ...how, fold: "" });
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

/** A line's text as a terminal would show it, without its colours, and with what the pattern matches marked. */
export function pieces(line, pattern) {
  const text = visible(plain(line)).slice(0, LONGEST);
  return pattern ? split(text, 0, matches(text, pattern)) : [text];
}

// Where the pattern is found in a text, [[from, to]...]; a few hundred at most.
function matches(text, pattern) {
  const found = [];
  pattern.lastIndex = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0]) found.push([match.index, match.index + match[0].length]);
    if (found.length > 300) break;
  }
  return found;
}

// A piece of the text that begins at `at`, with what lies in the ranges marked.
function split(text, at, ranges) {
  const nodes = [];
  let done = 0;
  for (const [from, to] of ranges) {
    const start = Math.max(from - at, done);
    const end = Math.min(to - at, text.length);
    if (end <= start) continue;
    if (start > done) nodes.push(text.slice(done, start));
    nodes.push(h("mark", null, text.slice(start, end)));
    done = end;
  }
  if (done < text.length) nodes.push(text.slice(done));
  return nodes;
}
