// A JSON value as rows of one line each, foldable at every object and array.

import { visible } from "./visible.js";

const LONGEST = 2000; // characters of a string that a row shows
const ROWS = 2000; // rows of one value; what is beyond is counted

/** The value of a line that is a JSON object or array, else undefined. */
export function jsonOf(text) {
  const first = text.trimStart()[0];
  if ((first !== "{" && first !== "[") || text.length > 1_000_000) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The rows of what is inside an object or array: [{depth, key, text, kind, path, folded}].
 *
 * `kind` is string, number, word (true, false, null) or fold; `closed` holds the paths of what is folded.
 */
export function jsonRows(value, closed) {
  const rows = [];
  let left = 0;
  const walk = (inner, depth, path) => {
    const isList = Array.isArray(inner);
    for (const [key, item] of Object.entries(inner)) {
      const here = `${path}/${key}`;
      if (rows.length >= ROWS) {
        left += 1;
        continue;
      }
      const name = isList ? "" : visible(key);
      if (item === null || typeof item !== "object") {
        rows.push({ depth, key: name, text: leaf(item), kind: kindOf(item), path: here });
        continue;
      }
      const folded = closed.has(here);
      rows.push({ depth, key: name, text: summary(item), kind: "fold", path: here, folded });
      if (!folded) walk(item, depth + 1, here);
    }
  };
  walk(value, 1, "");
  if (left) rows.push({ depth: 1, key: "", text: `and ${left} more`, kind: "word", path: "" });
  return rows;
}

function leaf(value) {
  const text = visible(JSON.stringify(value));
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

const kindOf = (value) => (typeof value === "string" ? "string" : typeof value === "number" ? "number" : "word");

function summary(value) {
  if (Array.isArray(value)) return value.length ? `[${value.length}]` : "[]";
  const size = Object.keys(value).length;
  return size ? `{${size}}` : "{}";
}
