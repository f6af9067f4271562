// How many characters fit in a row: measured on a row that nobody sees.

import { makeRow } from "./linerow.js";

const DIGITS = 3; // of a number, at least
const SAMPLE = 100; // characters
const EDGE = 14; // px kept free at the right, as .line in output.css

export class Ruler {
  constructor(scroller) {
    this.#scroller = scroller;
    this.#row = makeRow();
    this.#row.className = "ruler";
    this.#row.setAttribute("aria-hidden", "true");
    this.#row.parts.text.textContent = "0".repeat(SAMPLE);
    scroller.append(this.#row);
  }

  columns = 80;
  #digits = 0;
  #scroller;
  #row;

  /** Have room for the numbers of these lines; whether that is more than there was. */
  widen(source) {
    let number = source.end - 1;
    while (number > source.first && !(source.line(number).seq > 0 && Number.isFinite(source.line(number).seq))) number -= 1;
    const digits = Math.max(DIGITS, String(source.line(number)?.seq ?? 0).length);
    if (digits <= this.#digits) return false;
    this.#digits = digits;
    this.#scroller.style.setProperty("--digits", String(digits));
    return true;
  }

  /** Look again; whether another number of columns fits. */
  measure({ times, numbers, who }) {
    const { parts } = this.#row;
    this.#scroller.classList.toggle("with-numbers", numbers);
    parts.time.textContent = times ? "00:00:00.000" : "";
    parts.who.textContent = who ? "0" : "";
    this.#scroller.parentNode?.style.setProperty("--bar", `${this.#scroller.offsetWidth - this.#scroller.clientWidth}px`);
    const text = parts.text.getBoundingClientRect();
    if (!text.width) return false; // not to be seen
    const room = this.#scroller.clientWidth - (text.left - this.#row.getBoundingClientRect().left) - EDGE;
    const columns = Math.floor(room / (text.width / SAMPLE));
    const changed = columns !== this.columns;
    this.columns = columns;
    return changed;
  }
}
