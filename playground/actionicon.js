// The sign of an action: an emoji of its own, or one of the icons that the page can draw, or the first letter of
// what it is called.

import { h, icon } from "./dom.js";

/** A square with the sign in it; decoration only. */
export function signOf(action, text) {
  const sign = action?.icon ?? "";
  if (/^[a-z]+$/.test(sign)) return h("span.sign", { "aria-hidden": "true" }, icon(`a-${sign}`));
  if (sign) return h("span.sign.emoji", { "aria-hidden": "true" }, sign);
  return h("span.sign.letter", { "aria-hidden": "true" }, [...text.trim()][0]?.toUpperCase() ?? "?");
}
