// How a line breaks into rows of so many cells, as it would in a terminal: after any character, with the room that
// wide characters and tabs take. All rows of a box are equally high, so a list of a hundred thousand lines knows where
// each of them is without having drawn it, and of a line of a million characters only what is in sight is in the page.

import { draw } from "./ansi.js";
import { count } from "./format.js";

const SIMPLE = /^[\x20-\x7e]*$/; // a cell for each character
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /[\p{M}\u200b-\u200d\ufe0f]/u;
const TAB = 8;
const LONG = 1000; // characters
const UNFOLDED = 2000; // rows of one unfolded line
const ALL = 1_000_000; // characters of one line that are looked at

/** A whole line as a terminal would show it, {pieces, length}; kept, since rows of it are drawn one by one. */
export function whole(line) {
  line.whole ??= draw(line.text, line.style, ALL);
  return line.whole;
}

// Whether each character takes one cell; known of a long line once it was asked.
function isSimple(line) {
  if (line.text.length < LONG) return SIMPLE.test(line.text);
  line.simple ??= SIMPLE.test(line.text);
  return line.simple;
}

/** How many rows a line takes. */
export function rowsOf(line, columns) {
  if (isSimple(line)) return Math.max(1, Math.ceil(line.text.length / columns));
  return breaksOf(line, columns).length;
}

/** Where a row of a line is in its text as it is shown: [from, to]. */
export function rangeOf(line, columns, part) {
  if (isSimple(line)) return [part * columns, Math.min(line.text.length, (part + 1) * columns)];
  const at = breaksOf(line, columns);
  return [at[part], at[part + 1] ?? whole(line).pieces.reduce((sum, { text }) => sum + text.length, 0)];
}

// Where its rows begin.
function breaksOf(line, columns) {
  if (line.broken?.columns === columns) return line.broken.at;
  const at = [0];
  let index = 0;
  let column = 0;
  for (const { text } of whole(line).pieces) {
    for (const char of text) {
      const cells = char === "\t" ? TAB - (column % TAB) : NO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
      if (column + cells > columns && column > 0) {
        at.push(index);
        column = 0;
      }
      column += cells;
      index += char.length;
    }
  }
  line.broken = { columns, at };
  return at;
}

/** The rows that a line unfolds into, as jsonRows has them. */
export function wrapped(text, columns) {
  const rows = [];
  const width = Math.max(20, columns - 4);
  const add = (part) => rows.push({ depth: 0, key: "", text: part, kind: "wrap", path: "" });
  let at = 0;
  while (at < text.length && rows.length < UNFOLDED) {
    // Not between the two halves of one character.
    const end = at + width + (/[\ud800-\udbff]/.test(text[at + width - 1] ?? "") ? 1 : 0);
    add(text.slice(at, end));
    at = end;
  }
  if (at < text.length) add(`… ${count(text.length - at)} more characters: wrap lines or download the output to see them`);
  return rows;
}
