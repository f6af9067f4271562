// How lines look, in all outputs alike: with numbers, with times, wrapped. Remembered in this browser.

import { narrow } from "./narrow.js";
import { recall, remember } from "./prefs.js";

const BEGIN = { wrap: narrow.matches, numbers: !narrow.matches, times: false };
const listeners = new Set();

/** {wrap, numbers, times}. */
export const lineLook = () =>
  Object.fromEntries(Object.entries(BEGIN).map(([name, at]) => [name, recall(name, at) === true]));

/** Turn one of them on or off. */
export function turnLook(name, on) {
  remember(name, on);
  for (const listener of listeners) listener(lineLook());
}

/** Call `listener` with how lines look whenever that changes. Returns what ends that. */
export function onLook(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
