// The actions as tiles, under the headings of their groups: what each is called, what it does, how its last runs went,
// what of it runs now, and a button that starts it, or opens its form where something has to be filled in.

import { fill, h, icon, setText } from "./dom.js";
import { count } from "./format.js";
import { signOf } from "./actionicon.js";
import { allowed } from "./auth.js";
import { grouped } from "./groups.js";
import { titleOf } from "./names.js";
import { hasDefault } from "./paramfield.js";
import { addressOf } from "./router.js";
import { standingOf, statusOf } from "./runwords.js";
import { startHere } from "./starting.js";
import { Strip } from "./strip.js";
import { whenOf } from "./when.js";

/** Whether a start needs nothing to be filled in. */
const startsAtOnce = (action) => Object.values(action.params ?? {}).every((spec) => hasDefault(spec));

export class Tiles {
  constructor(app, lastRuns) {
    this.#app = app;
    this.#lastRuns = lastRuns;
    this.element = h("div.tiles");
    this.#sight = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px" });
  }

  element;
  #app;
  #lastRuns;
  #sight;
  #inSight = new Set();
  #tiles = new Map(); // action -> its parts
  #built = "";

  /** Show what there is now. */
  show() {
    const { actions } = this.#app.store;
    const built = JSON.stringify([actions, allowed("start")]);
    if (built !== this.#built) {
      this.#built = built;
      this.#build(actions);
    }
    for (const [name, tile] of this.#tiles) this.#update(name, tile);
  }

  #build(actions) {
    this.#sight.disconnect();
    this.#inSight.clear();
    this.#tiles = new Map();
    const sections = [...grouped(actions.filter(({ hidden }) => !hidden))].map(([group, some]) =>
      h(
        "section",
        { "aria-label": group || "Actions" },
        group ? h("h3", null, group) : null,
        h("ul.tile-grid", null, some.map((action) => this.#tile(action))),
      ),
    );
    fill(this.element, sections);
  }

  #tile(action) {
    const { name } = action;
    const title = titleOf(this.#app.store, name);
    const parts = {
      strip: new Strip(),
      note: h("span.tile-note"),
      last: h("span.tile-last"),
      start: this.#startButton(action, title),
      lastKey: "",
    };
    parts.element = h(
      "li.tile",
      { "data-action": name },
      signOf(action, title),
      h("a.tile-title", { href: addressOf("actions", [name]), title: `${name}: its form, and what is known of it` }, title),
      parts.note,
      h("p.tile-about", { title: action.description || null }, action.description),
      parts.strip.element,
      h("div.tile-foot", null, parts.last, this.#options(action, title), parts.start),
    );
    this.#tiles.set(name, parts);
    this.#sight.observe(parts.element);
    return parts.element;
  }

  #startButton(action, title) {
    if (!allowed("start")) return null;
    const atOnce = startsAtOnce(action);
    const label = atOnce ? `Start ${title}` : `Start ${title}: opens its form`;
    const press = () => startHere(this.#app, action, { atOnce });
    return h("button.start", { type: "button", "aria-label": label, onclick: press }, icon(atOnce ? "run" : "form"), atOnce ? "Start" : "Start…");
  }

  // The way to the form of what Start would start with its defaults.
  #options(action, title) {
    if (!allowed("start") || !Object.keys(action.params ?? {}).length || !startsAtOnce(action)) return null;
    return h("a.options", { href: addressOf("actions", [action.name]), title: "Start it with other parameters", "aria-label": `Options of ${title}` }, icon("sliders"));
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#inSight.add(target.dataset.action);
      else this.#inSight.delete(target.dataset.action);
    }
    this.#lastRuns.want([...this.#inSight]);
  }

  #update(name, tile) {
    const { store, link } = this.#app;
    const pool = store.pools.get(name);
    const running = pool?.running ?? 0;
    const queued = pool?.queue_depth ?? 0;
    setText(tile.note, [running && `${count(running)} running`, queued && `${count(queued)} queued`].filter(Boolean).join(", "));
    if (tile.start) tile.start.disabled = !link.connected;
    if (!this.#inSight.has(name)) return;
    const runs = this.#lastRuns.of(name);
    if (!runs) return; // not known yet
    tile.strip.show(runs, link.now);
    const latest = runs.find(({ status }) => status !== "running");
    const last = latest && { ...latest, status: standingOf(store, latest) };
    const key = JSON.stringify([last?.run_id, last?.task_id, last?.status, last?.ended, runs.length]);
    if (key === tile.lastKey) return;
    tile.lastKey = key;
    fill(tile.last, last ? [statusOf(last), " ", whenOf(last.ended ?? last.started, link.now)] : runs.length ? [statusOf(runs[0]), " ", whenOf(runs[0].started, link.now)] : "No runs on record");
  }
}
