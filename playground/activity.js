// Activity: the last minutes as they happen, or the last hours and days out of the history. Which time, and of which
// action, is in the page's address.

import { fill, h, toggle } from "./dom.js";
import { Past } from "./past.js";
import { Pictures } from "./pictures.js";
import { addressOf, go } from "./router.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SPANS = {
  "1h": ["1 hour", HOUR, 60],
  "6h": ["6 hours", 6 * HOUR, 72],
  "24h": ["24 hours", 24 * HOUR, 96],
  "7d": ["7 days", 7 * 24 * HOUR, 84],
  "30d": ["30 days", 30 * 24 * HOUR, 90],
};

export class Activity {
  constructor(app, place) {
    this.#app = app;
    this.#pictures = new Pictures(app, h("div.live"));
    this.#past = new Past(app, (action) => this.#go(this.#span, action));
    const button = (name, text) => toggle(text, name ? `The last ${text}` : "The last minutes, as they happen", () => this.#go(name, this.#action));
    this.#buttons = new Map([["", button("", "Live")], ...Object.entries(SPANS).map(([name, [text]]) => [name, button(name, text)])]);
    this.#select = h("select", { "aria-label": "Of which action", onchange: () => this.#go(this.#span || "24h", this.#select.value) });
    fill(
      place,
      h("div.bar", null, h("h2.view-title", null, "Activity"), h("span.modes", null, [...this.#buttons.values()]), this.#select),
      this.#pictures.element,
      this.#past.element,
    );
    app.store.on("actions", () => this.#offer());
    this.#offer();
  }

  #app;
  #pictures;
  #past;
  #buttons;
  #select;
  #span = "";
  #action = "";

  get address() {
    return addressOf("activity", [], { span: this.#span, action: this.#action });
  }

  shown({ fields: { span = "", action = "" } }) {
    this.#span = span in SPANS ? span : "";
    this.#action = this.#span ? action : "";
    for (const [name, button] of this.#buttons) button.setAttribute("aria-pressed", String(name === this.#span));
    this.#offer();
    this.#pictures.element.hidden = Boolean(this.#span);
    this.#past.element.hidden = !this.#span;
    if (!this.#span) this.#pictures.shown();
    else {
      const [, ms, parts] = SPANS[this.#span];
      this.#past.show({ ms, parts, action: this.#action });
    }
  }

  #go(span, action) {
    go(addressOf("activity", [], { span, action: span ? action : "" }));
  }

  #offer() {
    const names = this.#app.store.actions.map(({ name, title }) => h("option", { value: name }, title || name));
    const gone = this.#action && !this.#app.store.action(this.#action) ? h("option", { value: this.#action }, this.#action) : null;
    fill(this.#select, h("option", { value: "" }, "all actions"), names, gone);
    this.#select.value = this.#action;
  }
}
