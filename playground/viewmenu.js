// How lines are shown: a menu of what can be turned on and off, and of where to go in time.

import { h, icon, newId } from "./dom.js";
import { fieldTime } from "./format.js";
import { lineLook, onLook, turnLook } from "./lineprefs.js";

const LOOK = [
  ["wrap", "Wrap lines", "W"],
  ["numbers", "Line numbers", "L"],
  ["times", "Times", "T"],
];
const AWAY = 6; // px between button and menu

export class ViewMenu {
  /** `acts`: look (look), streams ({out, err}), jump (timestamp), called when they are used; `more`: further elements. */
  constructor({ acts, more = [] }) {
    const id = newId("menu");
    this.#acts = acts;
    this.#checks = Object.fromEntries(
      LOOK.map(([name]) => [name, h("input", { type: "checkbox", onchange: ({ target }) => turnLook(name, target.checked) })]),
    );
    for (const each of [this.#out, this.#err]) each.addEventListener("change", () => this.#turned(each));
    this.#at = h("input.at", { type: "datetime-local", step: "1", "aria-label": "Go to a time", title: "Go to a time (g), with Enter" });
    this.#at.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), this.#jump()));
    this.button = h("button.view-button", { type: "button", title: "How lines are shown", "aria-label": "View: how lines are shown", popovertarget: id, "aria-expanded": "false" }, icon("sliders"), h("span", null, "View"));
    const row = (input, text, key) => h("label", null, input, h("span", null, text), key ? h("kbd", null, key) : null);
    this.element = h(
      "div.view-menu",
      { id, popover: "auto", role: "group", "aria-label": "How lines are shown" },
      LOOK.map(([name, text, key]) => row(this.#checks[name], text, key)),
      h("hr"),
      row(this.#out, "stdout"),
      row(this.#err, "stderr"),
      h("hr"),
      h("span.when", null, this.#at, h("button", { type: "button", onclick: () => this.#jump() }, "Go to time")),
      more,
    );
    this.element.addEventListener("toggle", ({ newState }) => this.#placed(newState === "open"));
    // Escape closes the menu, and not the output around it.
    for (const each of [this.element, this.button])
      each.addEventListener("keydown", (event) => event.key === "Escape" && this.element.matches(":popover-open") && event.stopPropagation());
    this.#unlisten = onLook((look) => (this.#showLook(look), acts.look(look)));
    this.#showLook(lineLook());
  }

  element;
  button;
  #acts;
  #checks;
  #out = h("input", { type: "checkbox", checked: true });
  #err = h("input", { type: "checkbox", checked: true });
  #at;
  #unlisten;

  destroy() {
    this.#unlisten();
  }

  /** Which streams are shown, {out, err}: one at least. */
  get streams() {
    return { out: this.#out.checked, err: this.#err.checked };
  }

  /** Keys in the box of lines. */
  get keys() {
    const turn = (name) => () => turnLook(name, !lineLook()[name]);
    return { w: turn("wrap"), l: turn("numbers"), t: turn("times"), g: () => this.askTime() };
  }

  /** Show both streams, and no time. */
  clear() {
    this.#out.checked = this.#err.checked = true;
    this.#at.value = "";
  }

  askTime() {
    this.element.showPopover();
    this.#at.focus();
  }

  /** The times that can be gone to (ms): the first is there where none was chosen. */
  showTimes(first, last) {
    this.#at.min = fieldTime(first);
    if (last) this.#at.max = fieldTime(last + 1000);
    if (!this.#at.value) this.#at.value = this.#at.min;
  }

  #showLook(look) {
    for (const [name, check] of Object.entries(this.#checks)) check.checked = look[name];
  }

  #turned(each) {
    if (!this.#out.checked && !this.#err.checked) (each === this.#out ? this.#err : this.#out).checked = true;
    this.#acts.streams();
  }

  #jump() {
    if (!this.#at.value) return;
    turnLook("times", true);
    this.element.hidePopover();
    this.#acts.jump(new Date(this.#at.value).toISOString());
  }

  // Above or below its button, where there is room.
  #placed(open) {
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const { style, offsetWidth, offsetHeight } = this.element;
    const { top, bottom, right } = this.button.getBoundingClientRect();
    const below = bottom + AWAY + offsetHeight <= innerHeight;
    style.left = `${Math.max(AWAY, Math.min(right - offsetWidth, innerWidth - offsetWidth - AWAY))}px`;
    style.top = `${Math.max(AWAY, below ? bottom + AWAY : top - AWAY - offsetHeight)}px`;
  }
}
