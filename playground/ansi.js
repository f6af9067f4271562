// What terminals understand, for a page that is none: colours and weights are kept, everything else that an
// escape sequence could do is left out, other control characters are shown as the pictures Unicode has.

// CSI, OSC (ended by BEL or ESC \), the other string sequences, two-character ones, and a lonely ESC.
const SEQUENCE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~]|)/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]/g;
const BIDI = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const LEVELS = [0, 95, 135, 175, 215, 255];

/** A line without its escape sequences, as one reads it; what is searched. */
export function plain(text) {
  const shown = text.includes("\x1b") ? text.replace(SEQUENCE, "") : text;
  return visible(shown.slice(kept(shown)));
}

/** The style at the end of a line that began in `style`; null is the default. */
export function carry(text, style) {
  for (const [, codes, final] of text.matchAll(SEQUENCE)) if (final === "m") style = styled(style, codes);
  return style;
}

/** The pieces of a line, [{text, style}], that begins in `style`. Their texts joined are plain(text). */
export function pieces(text, style) {
  if (!text.includes("\x1b")) return [{ text: visible(text.slice(kept(text))), style }];
  const found = [];
  let at = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index), style });
    at = match.index + match[0].length;
    if (match[2] === "m") style = styled(style, match[1]);
  }
  if (at < text.length) found.push({ text: text.slice(at), style });
  let cut = kept(found.map((piece) => piece.text).join(""));
  const shown = [];
  for (const piece of found) {
    const rest = piece.text.slice(cut);
    cut = Math.max(0, cut - piece.text.length);
    if (rest) shown.push({ text: visible(rest), style: piece.style });
  }
  return shown;
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

// A carriage return takes a terminal back to the line's start: only what is after the last one stays.
const kept = (text) => text.trimEnd().lastIndexOf("\r") + 1;

function visible(text) {
  return text
    .replace(CONTROL, (char) => {
      const code = char.charCodeAt(0);
      return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\ufffd";
    })
    .replace(BIDI, "\ufffd");
}

function styled(style, codes) {
  const numbers = (codes || "0").split(/[;:]/).map(Number);
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
