// The states that tasks are in, with how many are: each a button that filters.

import { fill, h, icon } from "./dom.js";
import { count } from "./format.js";
import { STATES } from "./states.js";

export class StateChips {
  /** `choose`: called with the state that was pressed, "" for all. */
  constructor(choose) {
    this.#choose = choose;
    this.element = h("div.chips", { role: "group", "aria-label": "Filter by state" });
  }

  element;
  #choose;
  #shown = "";

  /** `counts`: by state; `all`: of all; `only`: the state that is filtered by. */
  show(counts, all, only) {
    const wanted = [["", "All", all], ...Object.entries(STATES).map(([name, { label }]) => [name, label, counts[name] ?? 0])];
    const key = JSON.stringify([wanted, only]);
    if (this.#shown === key) return;
    this.#shown = key;
    const focused = document.activeElement?.dataset?.state;
    const inside = this.element.contains(document.activeElement);
    const chip = ([name, label, number]) =>
      h(
        `button.chip.s-${name || "all"}`,
        { type: "button", "data-state": name, "aria-pressed": String(name === only), onclick: () => this.#choose(name) },
        name ? icon(STATES[name].icon) : null,
        `${label} `,
        h("b", null, count(number)),
      );
    fill(this.element, wanted.filter(([name, , number]) => !name || number || name === only).map(chip));
    if (inside) this.element.querySelector(`[data-state="${focused}"]`)?.focus();
  }
}
