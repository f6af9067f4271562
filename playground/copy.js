// To the clipboard, also where the page came over plain HTTP and the modern way is closed.

import { h } from "./dom.js";

/** Whether it worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea.offscreen", { value: text, "aria-hidden": "true" });
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus();
    return done;
  }
}
