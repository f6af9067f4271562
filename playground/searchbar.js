// A field to search lines with: what is looked for, the next one and the one before, and how many there are.

import { flip, h, iconButton, isPressed, setText, toggle } from "./dom.js";

export class SearchBar {
  /**
   * `label`: the field's name; `settle`: ms without another key after which what was typed is looked for; `acts`:
   * find (), next (backwards), leave (), called when it is used.
   */
  constructor({ label, hint, settle, acts }) {
    this.#acts = acts;
    this.#settle = settle;
    const about = `${hint} (/); Enter goes to the next match, Shift+Enter to the one before`;
    this.field = h("input", { type: "search", placeholder: hint, "aria-label": label, title: about, spellcheck: "false", autocapitalize: "off", autocomplete: "off", enterkeyhint: "search" });
    this.#regex = toggle(".*", "Regular expression", () => this.#find());
    this.#exact = toggle("Aa", "Match case", () => this.#find());
    this.#steps = h(
      "span.steps",
      { hidden: true },
      iconButton("up", "Match before", () => acts.next(true), { key: "Shift+Enter" }),
      iconButton("next", "Next match", () => acts.next(false), { key: "Enter" }),
    );
    this.element = h("span.find", null, h("span.find-field", null, this.field, this.#regex, this.#exact), this.#found, this.#steps);
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => this.#key(event));
  }

  element;
  field;
  #acts;
  #settle;
  #regex;
  #exact;
  #steps;
  #found = h("span.found", { role: "status" });
  #timer = 0;
  #told = ""; // what is being looked for

  /** {text, regex, exact}. */
  get wanted() {
    return { text: this.field.value, regex: isPressed(this.#regex), exact: isPressed(this.#exact) };
  }

  /** Look for this, or nothing, without telling of it. */
  set wanted({ text = "", regex = false, exact = false } = {}) {
    this.field.value = text;
    if (isPressed(this.#regex) !== regex) flip(this.#regex);
    if (isPressed(this.#exact) !== exact) flip(this.#exact);
    this.#told = JSON.stringify(this.wanted);
    this.showFound("");
  }

  focus() {
    this.field.focus();
    this.field.select();
  }

  /** Say how many there are, or what is wrong. */
  showFound(text, bad = false) {
    setText(this.#found, text);
    this.#found.classList.toggle("problem", bad);
    if (bad) this.field.setAttribute("aria-invalid", "true");
    else this.field.removeAttribute("aria-invalid");
    this.#steps.hidden = !this.field.value || bad;
  }

  #typed() {
    clearTimeout(this.#timer);
    if (this.#settle && this.field.value) this.#timer = setTimeout(() => this.#find(), this.#settle);
    else this.#find();
  }

  #find() {
    clearTimeout(this.#timer);
    this.#told = JSON.stringify(this.wanted);
    this.#steps.hidden = !this.field.value;
    this.#acts.find();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter") {
      if (this.#told !== JSON.stringify(this.wanted)) this.#find();
      else if (this.field.value) this.#acts.next(event.shiftKey);
    } else if (event.key === "Escape" && this.field.value) {
      this.field.value = "";
      this.#find();
    } else if (event.key === "Escape") this.#acts.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
