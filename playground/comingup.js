// What comes next by itself: the starts that schedules have ahead.

import { fill, h } from "./dom.js";
import { idOf, nameById } from "./names.js";
import { addressOf } from "./router.js";
import { whenOf } from "./when.js";

const SHOWN = 6;
const AHEAD = 3; // starts that are asked for of each task
const MOST = 200; // tasks
const LATE = 400; // ms after a start was due, in which it happens
const LONGEST = 60_000; // ms between two looks

export class ComingUp {
  /** `seen`: whether the list is. */
  constructor(app, seen) {
    this.#app = app;
    this.#seen = seen;
    this.element = h("section.card.coming", { "aria-label": "Coming up", hidden: true }, h("h3", null, "Coming up"), this.#list, h("p.rest", null, h("a", { href: "#plan" }, "All schedules")));
    app.link.on("status", ({ state }) => state === "open" && this.load());
    app.link.on("skipped", () => this.load());
  }

  element;
  next = ""; // the name of what comes first, "" for nothing
  nextAt = "";
  #app;
  #seen;
  #list = h("ol.rows");
  #busy = false;
  #timer = 0;

  async load() {
    const { link } = this.#app;
    clearTimeout(this.#timer);
    if (this.#busy || !link.connected || !this.#seen() || !this.#app.can("schedules")) return;
    this.#busy = true;
    try {
      const { schedules } = await link.request({ type: "schedules", upcoming: AHEAD, limit: MOST }, { own: true });
      this.#show(schedules);
    } catch {
      // The connection is gone, and the next one starts over.
    }
    this.#busy = false;
  }

  #show(schedules) {
    const { store, link } = this.#app;
    const coming = schedules
      .filter(({ paused }) => !paused)
      .flatMap((info) => (info.upcoming?.length ? info.upcoming : [info.next]).filter(Boolean).map((at) => ({ ...info, at })))
      .sort((one, other) => (one.at < other.at ? -1 : 1));
    const [first] = coming;
    this.element.hidden = !first;
    this.next = first ? this.#nameOf(first) : "";
    this.nextAt = first?.at ?? "";
    fill(
      this.#list,
      coming.slice(0, SHOWN).map((each) =>
        h("li", null, h("span.who", null, h("a.name", { href: addressOf("plan", [each.task_id]) }, this.#nameOf(each)), idOf(each.task_id)), whenOf(each.at, link.now)),
      ),
    );
    if (!first) return;
    const due = Math.min(...schedules.filter(({ next }) => next).map(({ due: at, next }) => Date.parse(at ?? next)));
    const wait = Math.min(LONGEST, Math.max(LATE, due - link.now + LATE));
    this.#timer = setTimeout(() => this.load(), wait);
  }

  #nameOf({ task_id: id, action }) {
    return nameById(this.#app.store, id, action);
  }
}
