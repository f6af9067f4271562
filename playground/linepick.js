// The lines that were picked in a box: one that keys act on, or several, from one to another; and what is copied.

import { copyText } from "./copy.js";
import { clock } from "./format.js";
import { lineLook } from "./lineprefs.js";
import { say } from "./notices.js";

export class LinePick {
  /** `view`: the LineView; `scroller`: the box. */
  constructor(view, scroller) {
    this.#view = view;
    scroller.addEventListener("copy", (event) => this.#copied(event));
  }

  cursor = -1; // number of the line that keys act on
  #view;
  #from = -1; // where the picked lines begin; they end at the cursor

  /** Pick a line, or, with `more`, all from the one before to this one. */
  pick(number, more = false) {
    if (!more) this.#from = -1;
    else if (this.#from < 0) this.#from = this.cursor < 0 ? number : this.cursor;
    this.cursor = number;
  }

  clear() {
    this.cursor = this.#from = -1;
  }

  /** "current", "picked" or "". */
  has(number) {
    if (number === this.cursor) return "current";
    const [from, to] = this.#range;
    return this.#from >= 0 && from <= number && number <= to ? "picked" : "";
  }

  /** Copy all that is shown, with times where these are. */
  async copyAll() {
    const done = await copyText(this.#view.text({ stamp: lineLook().times ? clock : null }));
    say(done ? "Copied" : "The browser does not allow copying; download it instead");
  }

  get #range() {
    const from = this.#from < 0 ? this.cursor : this.#from;
    return [Math.min(from, this.cursor), Math.max(from, this.cursor)];
  }

  // What is marked, without numbers, times and names, and a line that is broken into rows as the one that it is; where
  // nothing is marked, the lines that are picked.
  #copied(event) {
    const selection = getSelection();
    let text = "";
    if (!selection.isCollapsed) text = textOf(selection.getRangeAt(0).cloneContents()) ?? selection.toString();
    else if (this.cursor >= 0) {
      const [from, to] = this.#range;
      text = this.#view.text({ from, to });
    }
    if (!text) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  }
}

// The text of rows; undefined where there are none, since what is marked is within one.
function textOf(fragment) {
  const rows = [...fragment.querySelectorAll(".line")];
  if (!rows.length) return undefined;
  let text = "";
  for (const row of rows) {
    if (text && row.dataset.part !== "rest") text += "\n";
    for (const node of row.querySelector(".text")?.childNodes ?? []) if (!node.classList?.contains("more")) text += node.textContent;
  }
  return text;
}
