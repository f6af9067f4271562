// Light, dark, or as the system has it. Loaded first, so that the page never flashes in the wrong one.

import { recall, remember } from "./prefs.js";

const ORDER = ["auto", "light", "dark"];
const LABELS = { auto: "Colours: system", light: "Colours: light", dark: "Colours: dark" };

function apply(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  if (!button) return;
  button.title = LABELS[theme];
  button.setAttribute("aria-label", LABELS[theme]);
  button.querySelector("use").setAttribute("href", `#i-${theme}`);
}

/** Go on to the next theme. */
export function turnTheme() {
  const next = ORDER[(ORDER.indexOf(recall("theme", "auto")) + 1) % ORDER.length];
  remember("theme", next);
  apply(next);
}

apply(ORDER.includes(recall("theme", "auto")) ? recall("theme", "auto") : "auto");
