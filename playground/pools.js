// The pools: what runs in each and what waits, in order; for those who may, the limits, of one at a time.

import { Clusters } from "./clusters.js";
import { fill, h, icon, iconButton, inFrame, named, newId, setText } from "./dom.js";
import { count, duration, many } from "./format.js";
import { idOf, nameOf, titleOf } from "./names.js";
import { attempt, confirm, say } from "./notices.js";
import { addressOf } from "./router.js";
import { QueueList } from "./queuelist.js";
import { allowed, seesAll } from "./auth.js";

const RUNNING = 12; // running tasks listed
const HOLDS = new Set(["running", "starting", "restarting"]); // what has a place

export class Pools {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    this.#draw = inFrame(() => this.#show());
    this.#clusters = new Clusters(app, () => !place.hidden);
    app.store.on("pools", this.#draw);
    app.store.on("tasks", this.#draw);
    app.link.on("status", this.#draw);
  }

  #app;
  #place;
  #draw;
  #clusters;
  #cards = new Map(); // action -> card

  /** Called when the view is shown. */
  shown() {
    this.#draw();
    this.#clusters.load();
  }

  #show() {
    if (this.#place.hidden) return;
    const { pools, tasks } = this.#app.store;
    const names = [...pools.keys()];
    if (JSON.stringify(names) !== JSON.stringify([...this.#cards.keys()])) {
      this.#cards = new Map(names.map((name) => [name, this.#card(name)]));
      const cards = [...this.#cards.values()].map(({ element }) => element);
      const about = h("p.hint", null, "A pool decides how many tasks run at the same time. What waits starts in the order shown: as it came, unless somebody moves it.");
      fill(this.#place, h("h2", null, "Pools"), about, h("div.cards", null, cards), this.#clusters.element);
    }
    const running = [...tasks.values()].filter(({ status }) => HOLDS.has(status));
    running.sort((one, other) => ((one.last_started_at ?? "") < (other.last_started_at ?? "") ? -1 : 1));
    for (const [name, card] of this.#cards) this.#fill(card, name, pools.get(name), running.filter(({ action }) => !name || action === name));
  }

  #card(name) {
    const size = this.#app.store.action(name)?.task_pool.queue?.size;
    const ids = { limit: newId("limit"), queue: newId("queue"), title: newId("pool") };
    const number = (id, placeholder, title) => h("input", { id, type: "number", min: "0", inputmode: "numeric", placeholder, title });
    const card = {
      bar: h("div.fill"),
      places: h("div.meter", { role: "meter", "aria-labelledby": ids.title, "aria-valuemin": "0" }),
      numbers: h("p.numbers"),
      running: h("ul.holding", { "aria-label": "Running" }),
      queue: new QueueList(this.#app, name),
      limit: number(ids.limit, "none", "0: no limit"),
      size: number(ids.queue, size === undefined ? "–" : size || "any", "Unchanged when empty; 0: unlimited"),
      purge: iconButton("purge", `Purge the queue of ${name || "every action"}`, () => this.#purge(name), { text: "Purge", kind: "harm" }),
    };
    card.places.append(card.bar);
    const resize = (event) => {
      event.preventDefault();
      this.#resize(name, card);
    };
    const mayChange = allowed("set_pool") && (name || seesAll());
    if (mayChange) {
      card.knobs = h("form.row.knobs", { onsubmit: resize, hidden: true }, h("label", { for: ids.limit }, "Limit"), card.limit, h("label", { for: ids.queue }, "Queue"), card.size, h("button", null, "Resize"));
      card.change = h("button.change", { type: "button", "aria-expanded": "false", onclick: () => this.#turn(card) }, icon("gear"), "Change");
    }
    card.element = h(
      name ? "section.card" : "section.card.whole",
      { "aria-labelledby": ids.title },
      h("div.row.pool-head", null, h("h3", { id: ids.title }, name ? titleOf(this.#app.store, name) : "All actions"), card.purge, card.change),
      card.numbers,
      card.places,
      card.knobs,
      card.running,
      card.queue.element,
    );
    return card;
  }

  // The inputs of one pool, and of no other.
  #turn(card) {
    for (const each of this.#cards.values()) {
      if (!each.knobs) continue;
      each.knobs.hidden = each !== card || !each.knobs.hidden;
      each.change.setAttribute("aria-expanded", String(!each.knobs.hidden));
    }
    if (!card.knobs.hidden) card.limit.focus();
  }

  #fill(card, name, pool, held) {
    const { limit, running, queue_depth: queued, queue_items: items = [] } = pool;
    card.places.hidden = !limit; // it would be a fraction of nothing
    card.element.classList.toggle("idle", Boolean(name) && !limit && !running && !queued);
    if (limit) {
      card.bar.style.width = `${Math.min(100, (running / limit) * 100)}%`;
      card.bar.classList.toggle("full", running >= limit);
      card.places.setAttribute("aria-valuenow", running);
      card.places.setAttribute("aria-valuemax", limit);
    }
    const text = `${count(running)}${limit ? ` of ${count(limit)}` : ""} running${limit ? "" : ", no limit"}, ${count(queued)} queued`;
    setText(card.numbers, text);
    card.places.setAttribute("aria-valuetext", text);
    if (document.activeElement !== card.limit) card.limit.value = limit || "";
    card.purge.disabled = !this.#app.link.connected;
    card.purge.hidden = !allowed("purge") || !queued || !(name || seesAll());
    this.#fillRunning(card, held);
    card.queue.show(items, queued);
  }

  #fillRunning(card, held) {
    const { store } = this.#app;
    const key = JSON.stringify(held.map(({ task_id: id, status }) => [id, status]));
    if (card.held !== key) {
      card.held = key;
      const row = (task) => h("li", null, icon("run"), this.#link(task), h("span.age", { "data-since": task.last_started_at ?? task.created_at }));
      const rest = held.length - RUNNING;
      const more = rest > 0 ? h("li.rest", null, h("a", { href: addressOf("tasks", [], { status: "running" }) }, `and ${count(rest)} more`)) : null;
      fill(card.running, held.slice(0, RUNNING).map((task) => row(store.tasks.get(task.task_id) ?? task)), more);
    }
    this.#tick(card.running);
  }

  #link(task) {
    const { store } = this.#app;
    const known = store.tasks.get(task.task_id) ?? task;
    return [h("a.name", { href: addressOf("tasks", [task.task_id]) }, nameOf(store, known)), idOf(task.task_id)];
  }

  #tick(list) {
    const { now } = this.#app.link;
    for (const age of list.querySelectorAll(".age")) setText(age, duration(now - Date.parse(age.dataset.since)));
  }

  async #resize(name, card) {
    const request = { type: "set_pool", action: name };
    const pool = this.#app.store.pools.get(name);
    if (card.limit.value !== "") request.limit = Number(card.limit.value);
    if (card.size.value !== "") request.queue_size = Number(card.size.value);
    const over = request.limit ? pool.running - request.limit : 0;
    if (over > 0) {
      const then =
        this.#app.store.action(name)?.task_pool.excess.action === "requeue" ? "stopped and queued again" : "stopped";
      const text = `${many(pool.running, "task")} running, ${count(request.limit)} allowed: ${many(over, "task is", "tasks are")} ${then}.`;
      if (!(await confirm("Lower the limit?", text, "Lower it"))) return;
    }
    await attempt(async () => {
      await this.#app.link.request(request);
      card.size.value = "";
      say(["Resized ", name ? named(name) : "the global pool"]);
    });
    this.#app.store.refresh();
  }

  async #purge(name) {
    const queued = this.#app.store.pools.get(name)?.queue_depth ?? 0;
    const text = `${many(queued, "task")} in the queue will not start.`;
    if (!(await confirm(["Purge ", name ? ["the queue of ", named(name)] : "every queue", "?"], text, "Purge"))) return;
    await attempt(async () => {
      const { count: number } = await this.#app.link.request({ type: "purge", action: name });
      say(`Purged ${many(number, "task")}`);
    });
    this.#app.store.refresh();
  }
}
