// The pools: how full each is, what waits in which order, and the knobs.

import { fill, h, icon, iconButton, inFrame, named, newId, setText } from "./dom.js";
import { count, duration, many } from "./format.js";
import { attempt, confirm, say } from "./notices.js";
import { allowed, seesAll } from "./auth.js";

const SHOWN = 50; // queue items listed; the rest is counted

export class Pools {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    this.#draw = inFrame(() => this.#show());
    app.store.on("pools", this.#draw);
    app.link.on("status", this.#draw);
  }

  #app;
  #place;
  #draw;
  #cards = new Map(); // action -> card

  /** Called when the view is shown. */
  shown() {
    this.#draw();
  }

  #show() {
    if (this.#place.hidden) return;
    const { pools } = this.#app.store;
    const names = [...pools.keys()];
    if (JSON.stringify(names) !== JSON.stringify([...this.#cards.keys()])) {
      this.#cards = new Map(names.map((name) => [name, this.#card(name)]));
      fill(
        this.#place,
        h(
          "div.cards",
          null,
          [...this.#cards.values()].map(({ element }) => element),
        ),
      );
    }
    for (const [name, card] of this.#cards) this.#fill(card, name, pools.get(name));
  }

  #card(name) {
    const size = this.#app.store.action(name)?.task_pool.queue?.size;
    const ids = { limit: newId("limit"), queue: newId("queue"), title: newId("pool") };
    const card = {
      bar: h("div.fill"),
      places: h("div.meter", { role: "meter", "aria-labelledby": ids.title, "aria-valuemin": "0" }),
      queueBar: h("div.fill.waiting"),
      queueBox: h("div.meter.thin", { "aria-hidden": "true" }),
      numbers: h("p.numbers"),
      queue: h("ol.queue"),
      limit: h("input", {
        id: ids.limit,
        type: "number",
        min: "0",
        inputmode: "numeric",
        placeholder: "none",
        title: "0: no limit",
      }),
      size: h("input", {
        id: ids.queue,
        type: "number",
        min: "0",
        inputmode: "numeric",
        placeholder: size === undefined ? "–" : size || "any",
        title: "Unchanged when empty; 0: unlimited",
      }),
      purge: iconButton("purge", `Purge the queue of ${name || "every action"}`, () => this.#purge(name), {
        text: "Purge",
        kind: "danger",
      }),
    };
    card.places.append(card.bar);
    card.queueBox.append(card.queueBar);
    const resize = (event) => {
      event.preventDefault();
      this.#resize(name, card);
    };
    card.element = h(
      name ? "section.card" : "section.card.whole",
      { "aria-labelledby": ids.title },
      h("h3", { id: ids.title }, name || "All actions"),
      card.numbers,
      card.places,
      card.queueBox,
      allowed("set_pool") && (name || seesAll())
        ? h(
            "form.row.knobs",
            { onsubmit: resize },
            h("label", { for: ids.limit }, "Limit"),
            card.limit,
            h("label", { for: ids.queue }, "Queue"),
            card.size,
            h("button", null, "Resize"),
            card.purge,
          )
        : null,
      card.queue,
    );
    return card;
  }

  #fill(card, name, pool) {
    const { limit, running, queue_depth: waiting, queue_items: items = [] } = pool;
    // Without a limit the bar is not a fraction of anything: it just grows, ever more slowly.
    const most = limit || running + 4;
    card.bar.style.width = `${Math.min(100, (running / most) * 100)}%`;
    card.places.classList.toggle("endless", !limit);
    card.bar.classList.toggle("full", limit > 0 && running >= limit);
    card.places.setAttribute("aria-valuenow", running);
    card.places.setAttribute("aria-valuemax", most);
    const size = this.#app.store.action(name)?.task_pool.queue?.size;
    card.queueBar.style.width = `${waiting ? Math.max(3, Math.min(100, (waiting / (size || Math.max(waiting, 20))) * 100)) : 0}%`;
    const text = `${count(running)}${limit ? ` of ${count(limit)}` : ""} running${limit ? "" : ", no limit"}, ${count(waiting)} waiting`;
    setText(card.numbers, text);
    card.places.setAttribute("aria-valuetext", text);
    if (document.activeElement !== card.limit) card.limit.value = limit || "";
    const off = !this.#app.link.connected || !allowed("purge");
    card.purge.disabled = off || !waiting;
    this.#fillQueue(card, name, items, waiting);
  }

  #fillQueue(card, name, items, waiting) {
    const key = JSON.stringify([items.slice(0, SHOWN), waiting]);
    const { now } = this.#app.link;
    if (card.key !== key) {
      card.key = key;
      fill(
        card.queue,
        items
          .slice(0, SHOWN)
          .map((item) =>
            h(
              "li",
              { value: item.position + 1 },
              h("span.place", null, `${item.position + 1}`),
              h("code", { title: item.task_id }, item.task_id),
              name ? null : h("span.tag", null, item.action),
              item.forced ? h("span.tag", null, icon("force"), "forced") : null,
              h("span.age", { "data-since": item.queued_at }),
            ),
          ),
        waiting > SHOWN ? h("li.rest", null, `and ${many(waiting - SHOWN, "more", "more")}`) : null,
      );
    }
    for (const age of card.queue.querySelectorAll(".age"))
      setText(age, duration(now - Date.parse(age.dataset.since)));
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
    const waiting = this.#app.store.pools.get(name)?.queue_depth ?? 0;
    const text = `${many(waiting, "task")} in the queue will not start.`;
    if (!(await confirm(["Purge ", name ? ["the queue of ", named(name)] : "every queue", "?"], text, "Purge"))) return;
    await attempt(async () => {
      const { count: number } = await this.#app.link.request({ type: "purge", action: name });
      say(`Purged ${many(number, "task")}`);
    });
    this.#app.store.refresh();
  }
}
