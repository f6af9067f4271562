// How an action's last runs went, beside its form.

import { fill, h, named } from "./dom.js";
import { exactly } from "./format.js";
import { nameOf } from "./names.js";
import { addressOf } from "./router.js";
import { exitOf, lastedOf, runAddress, standingOf, statusOf } from "./runwords.js";
import { Strip } from "./strip.js";
import { whenOf } from "./when.js";

const ASKED = 20; // runs, as many as a strip has
const LISTED = 8;
const SOON = 700; // ms in which several events are asked about as one

export class ActionRuns {
  /** `seen`: whether it is. */
  constructor(app, seen) {
    this.#app = app;
    this.#seen = seen;
    this.element = h("aside.card.action-runs", { "aria-label": "Its last runs", hidden: true }, h("h3", null, "Last runs"), this.#strip.element, this.#list, h("p.rest", null, this.#all));
    app.link.on("*", ({ message }) => message.cursor && message.task?.action === this.#action && this.#soon());
  }

  element;
  #app;
  #seen;
  #strip = new Strip();
  #list = h("ol.rows");
  #all = h("a", null, "All of them");
  #action = "";
  #timer = 0;

  /** Show those of an action. */
  show(action) {
    if (action !== this.#action) this.element.hidden = true; // until it is known
    this.#action = action;
    this.#all.href = addressOf("history", [], { action });
    this.#load();
  }

  #soon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#load();
    }, SOON);
  }

  async #load() {
    const { link, store } = this.#app;
    const action = this.#action;
    if (!action || !this.#seen() || !link.connected) return;
    let runs;
    try {
      ({ runs } = await link.request({ type: "runs", action, limit: ASKED }, { own: true }));
    } catch {
      return; // no history
    }
    if (action !== this.#action) return;
    this.element.hidden = runs.length === 0;
    this.#strip.show(runs, link.now);
    fill(this.#list, runs.slice(0, LISTED).map((run) => this.#row(run, store, link.now)));
  }

  #row(run, store, now) {
    const ran = run.status === "running" ? null : lastedOf(run, now);
    const how = [run.status === "failed" ? exitOf(run) : "", ran === null ? "" : exactly(ran)].filter(Boolean).join(" · ");
    return h(
      "li",
      null,
      statusOf({ status: standingOf(store, run) }),
      h("a.name", { href: runAddress(run) }, named(nameOf(store, run))),
      whenOf(run.ended ?? run.started, now),
      h("span.how", null, how),
    );
  }
}
