// The button over lines that do not follow their end: how many came meanwhile, and the way to them.

import { fill, h, icon } from "./dom.js";
import { many } from "./format.js";

export class EndButton {
  constructor(go) {
    this.element = h("button.to-end", { type: "button", hidden: true, onclick: go });
  }

  element;
  #text = "";

  show(on, behind) {
    this.element.hidden = !on;
    const text = behind ? many(behind, "new line") : "to the end";
    if (!on || text === this.#text) return;
    this.#text = text;
    fill(this.element, icon("down"), text);
  }
}
