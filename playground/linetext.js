// A line's text as nodes: colours as a terminal has them, addresses as links, and what was looked for marked.

import { look, plain } from "./ansi.js";
import { h } from "./dom.js";
import { addressesIn } from "./urls.js";
import { visible } from "./visible.js";

const AROUND = 2000; // characters before and behind a part of a long line in which a match or a link may begin or end
const MATCHES = 300; // marked in one row
const LONGEST = 3000; // characters of a line in a list

/** Nodes of the part [from, to] of a text that is in pieces, {text, style}. */
export function nodesOf(pieces, [from, to], pattern) {
  const begin = Math.max(0, from - AROUND);
  const text = cut(pieces, begin, to + AROUND);
  const marks = pattern ? matches(text, pattern, begin) : [];
  const links = addressesIn(text).map(([start, end, href]) => [start + begin, end + begin, href]);
  const nodes = [];
  let at = 0;
  for (const { text: piece, style } of pieces) {
    const [start, end] = [Math.max(at, from), Math.min(at + piece.length, to)];
    if (start < end) {
      const inner = linked(piece.slice(start - at, end - at), start, links, marks);
      if (style) nodes.push(coloured(style, inner));
      else nodes.push(...inner);
    }
    at += piece.length;
    if (at >= to) break;
  }
  return nodes;
}

/** A text of the page's own, with what was looked for marked. */
export function marked(text, pattern) {
  const shown = visible(text);
  return pattern ? split(shown, 0, matches(shown, pattern, 0)) : [shown];
}

/** A line's text as a terminal would show it, without its colours, and with what the pattern matches marked. */
export const pieces = (line, pattern) => marked(plain(line).slice(0, LONGEST), pattern);

function cut(pieces, from, to) {
  let text = "";
  let at = 0;
  for (const { text: piece } of pieces) {
    if (at + piece.length > from) text += piece.slice(Math.max(0, from - at), to - at);
    at += piece.length;
    if (at >= to) break;
  }
  return text;
}

function coloured(style, inner) {
  const { names, fg, bg } = look(style);
  const span = h(["span", ...names].join("."), null, inner);
  // Through the object model, which the page's policy allows; a style attribute it would not.
  if (fg) span.style.setProperty("--a-fg", fg);
  if (bg) span.style.setProperty("--a-bg", bg);
  return span;
}

// The text that begins at `at`, with the links in it.
function linked(text, at, links, marks) {
  const nodes = [];
  let done = 0;
  for (const [from, to, href] of links) {
    const start = Math.max(from - at, done);
    const end = Math.min(to - at, text.length);
    if (end <= start) continue;
    if (start > done) nodes.push(...split(text.slice(done, start), at + done, marks));
    const inner = split(text.slice(start, end), at + start, marks);
    nodes.push(h("a.address", { href, target: "_blank", rel: "noopener noreferrer" }, inner));
    done = end;
  }
  if (done < text.length) nodes.push(...split(text.slice(done), at + done, marks));
  return nodes;
}

// Where the pattern is found in a text, [[from, to]...].
function matches(text, pattern, offset) {
  const found = [];
  pattern.lastIndex = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0]) found.push([match.index + offset, match.index + match[0].length + offset]);
    if (found.length > MATCHES) break;
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
