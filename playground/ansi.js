// What terminals understand, for a page that is none: colours and weights are kept, and so is what overwrites
// a line in place (carriage return, backspace, moves within the line, erasing it). Everything else that an
// escape sequence could do is left out; other control characters are shown as the pictures Unicode has.

import { visible } from "./visible.js";

// CSI, OSC (ended by BEL or ESC \), the other string sequences, two-character ones, and a lonely ESC.
const SEQUENCE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~]|)/g;
// The same, or one character that moves back.
const CONTROL = new RegExp(`${SEQUENCE.source}|[\r\b]`, "g");
// What changes a line that is there already; without any of it the text is in order.
const MOVES = /[\r\b]|\x1b\[[0-?]*[CDGK`]/;
const ZERO_WIDTH = /[\p{M}\u200d]/u;

const COLUMNS = 1_000_000; // of a line that is overwritten in place; more would only cost memory
const LEVELS = [0, 95, 135, 175, 215, 255];

/** A line as a terminal would show it, as one reads it; what is searched. */
export function plain(text) {
  if (!/[\x1b\r\b]/.test(text)) return visible(text);
  return draw(text, null, COLUMNS)
    .pieces.map((piece) => piece.text)
    .join("");
}

/** The style at the end of a line that began in `style`; null is the default. */
export function carry(text, style) {
  for (const [, codes, final] of text.matchAll(SEQUENCE)) if (final === "m") style = styled(style, codes);
  return style;
}

/**
 * The first `most` characters of a line that begins in `style`, as a terminal would show it:
 * {pieces: [{text, style}], length (of all of it)}. In time that grows with the text's length alone.
 */
export function draw(text, style, most) {
  let end = text.length;
  while (end && text[end - 1] === "\r") end -= 1;
  const whole = text.slice(0, end);
  if (MOVES.test(whole)) return overwritten(whole, style, most);
  const pieces = [];
  let length = 0;
  const add = (part) => {
    if (length < most && part) pieces.push({ text: visible(part.slice(0, most - length)), style });
    length += part.length;
  };
  let at = 0;
  if (whole.includes("\x1b"))
    for (const match of whole.matchAll(SEQUENCE)) {
      add(whole.slice(at, match.index));
      at = match.index + match[0].length;
      if (match[2] === "m") style = styled(style, match[1]);
    }
  add(whole.slice(at));
  return { pieces, length };
}

// A line of which parts are written over others: a cell for each character.
function overwritten(text, style, most) {
  const cells = [];
  const styles = [];
  let column = 0;
  let spare = text.length; // cells that may be made or emptied for no character, so that the time stays bounded
  const put = (part) => {
    for (const char of part) {
      if (ZERO_WIDTH.test(char) && column > 0 && column <= cells.length) {
        cells[column - 1] += char;
        continue;
      }
      if (column >= COLUMNS) return;
      spare -= Math.max(0, column - cells.length);
      if (spare < 0) column = Math.min(column, cells.length);
      while (cells.length < column) styles[cells.push(" ") - 1] = null;
      cells[column] = char;
      styles[column] = style;
      column += 1;
    }
  };
  let at = 0;
  for (const match of text.matchAll(CONTROL)) {
    put(text.slice(at, match.index));
    at = match.index + match[0].length;
    const [what, codes, final] = match;
    const number = Math.min(Number.parseInt(codes, 10) || 0, COLUMNS);
    if (what === "\r") column = 0;
    else if (what === "\b") column = Math.max(0, column - 1);
    else if (final === "m") style = styled(style, codes);
    else if (final === "C") column = Math.min(COLUMNS, column + (number || 1));
    else if (final === "D") column = Math.max(0, column - (number || 1));
    else if (final === "G" || final === "`") column = Math.max(0, number - 1);
    else if (final === "K" && number === 0) cells.length = Math.min(cells.length, column);
    else if (final === "K" && number === 2) cells.length = 0;
    else if (final === "K" && (spare -= column) > 0) cells.fill(" ", 0, column + 1);
  }
  put(text.slice(at));
  const pieces = [];
  let from = 0;
  const shown = Math.min(cells.length, most);
  for (let cell = 1; cell <= shown; cell += 1) {
    if (cell < shown && styles[cell] === styles[from]) continue;
    pieces.push({ text: visible(cells.slice(from, cell).join("")), style: styles[from] });
    from = cell;
  }
  return { pieces, length: cells.length };
}

/** Classes for a style, and the colours that are not among the sixteen: {names: [...], fg, bg}. */
export function look(style) {
  const names = [];
  for (const name of ["bold", "dim", "italic", "underline", "strike"]) if (style[name]) names.push(`a-${name}`);
  let { fg, bg } = style;
  if (style.reverse) {
    [fg, bg] = [bg, fg];
    if (fg === undefined && bg === undefined) names.push("a-reverse");
  }
  const named = (colour) => typeof colour === "number";
  if (named(fg)) names.push(`a-f${fg}`);
  if (named(bg)) names.push(`a-b${bg}`);
  if (fg && !named(fg)) names.push("a-fg");
  if (bg && !named(bg)) names.push("a-bg");
  return { names, fg: named(fg) ? "" : (fg ?? ""), bg: named(bg) ? "" : (bg ?? "") };
}

function styled(style, codes) {
  const numbers = (codes.slice(0, 200) || "0").split(/[;:]/).map(Number);
  let next = { ...style };
  for (let index = 0; index < numbers.length; index += 1) {
    const code = numbers[index];
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.reverse = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.reverse = false;
    else if (code === 29) next.strike = false;
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
    else if (code === 39) next.fg = undefined;
    else if (code === 49) next.bg = undefined;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(numbers, index + 1);
      next[code === 38 ? "fg" : "bg"] = colour;
      index += used;
    }
  }
  return Object.values(next).some((value) => value !== undefined && value !== false) ? next : null;
}

// 5;N and 2;R;G;B.
function extended(numbers, at) {
  const byte = (value) => Math.min(255, value || 0);
  if (numbers[at] === 2) {
    const [red, green, blue] = numbers.slice(at + 1, at + 4).map(byte);
    return [`rgb(${red ?? 0} ${green ?? 0} ${blue ?? 0})`, 4];
  }
  if (numbers[at] !== 5) return [undefined, 0];
  const number = byte(numbers[at + 1]);
  if (number < 16) return [number, 2];
  if (number >= 232) {
    const grey = 8 + (number - 232) * 10;
    return [`rgb(${grey} ${grey} ${grey})`, 2];
  }
  const cube = number - 16;
  const level = (value) => LEVELS[value % 6];
  return [`rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6))} ${level(cube)})`, 2];
}
