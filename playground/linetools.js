// What stands beside a box of lines: search, errors, how lines are shown, and whether they are followed.

import { fill, h, icon, setText, toggle, isPressed } from "./dom.js";
import { count, many } from "./format.js";
import { SearchBar } from "./searchbar.js";
import { ViewMenu } from "./viewmenu.js";

export class LineTools {
  /**
   * `label`, `hint`, `settle`: as a SearchBar has them; `only`: other lines than matches can be hidden; `more`: further
   * elements in the menu; `acts`: find (), next (backwards), leave (), streams (), look (look), jump (timestamp),
   * error (backwards), follow (on), called when they are used.
   */
  constructor({ label, hint, settle = 0, only = false, more = [], acts }) {
    this.search = new SearchBar({ label, hint, settle, acts });
    this.menu = new ViewMenu({ acts, more });
    this.#only = toggle("", "Only lines that match", () => acts.find());
    this.#only.append(icon("filter"));
    this.#only.hidden = true;
    this.#canHide = only;
    this.#errors = h("button.errors", { type: "button", hidden: true, onclick: ({ shiftKey }) => acts.error(shiftKey) });
    this.#follow = h("button.follow", { type: "button", "aria-pressed": "true", onclick: () => acts.follow(!isPressed(this.#follow)) });
    this.element = h("div.line-tools", null, this.search.element, this.#only, this.#errors, this.#streams, this.#size, this.menu.button, this.#follow, this.menu.element);
  }

  element;
  search;
  menu;
  #only;
  #canHide;
  #errors;
  #follow;
  #streams = h("span.tag", { hidden: true });
  #size = h("span.size");
  #said = {};

  destroy() {
    this.menu.destroy();
  }

  /** What LineView.setFilter takes of it. */
  get filter() {
    const { wanted } = this.search;
    const { out, err } = this.menu.streams;
    this.#only.hidden = !this.#canHide || !wanted.text;
    this.#streams.hidden = out && err;
    setText(this.#streams, out ? "stdout only" : "stderr only");
    return { wanted, only: isPressed(this.#only), out, err };
  }

  /** How many errors there are among the lines. */
  showErrors(number) {
    if (number === this.#said.errors) return;
    this.#said.errors = number;
    this.#errors.hidden = !number;
    fill(this.#errors, icon("bad"), count(number));
    this.#errors.title = `${many(number, "line")} on stderr or with an error: go to the next (e), or with Shift to the one before`;
    this.#errors.setAttribute("aria-label", `${many(number, "error")}: go to the next`);
  }

  /** How many lines there are. */
  showSize(text) {
    setText(this.#size, text);
  }

  /**
   * Whether the end is followed: `following`; `behind`: lines that came since it is not; `state`: "live", "over" (no more
   * lines come) or "offline".
   */
  showFollow({ following, behind, state }) {
    const key = `${following} ${behind} ${state}`;
    if (key === this.#said.follow) return;
    this.#said.follow = key;
    const words = { live: "Following", over: "At the end", offline: "Offline" };
    const text = following ? words[state] : behind ? `${count(behind)} new` : state === "over" ? "To the end" : "Paused";
    this.#follow.setAttribute("aria-pressed", String(following));
    this.#follow.className = `follow is-${following || state === "over" ? state : "held"}`;
    const about = { live: "New lines are shown as they come: press to hold still", over: "All lines are here", offline: "No connection: nothing new can come" };
    this.#follow.title = `${following ? about[state] : "The view holds still: press to go on at the end"} (p)`;
    this.#follow.setAttribute("aria-label", `${text}: follow the end`);
    const sign = !following ? "down" : { live: "live", over: "check", offline: "plug" }[state];
    fill(this.#follow, icon(sign), h("span", null, text));
  }
}
