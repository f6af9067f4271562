// What runs now: how long, against how long it usually takes, and what it uses of the machine.

import { fill, h, setText } from "./dom.js";
import { bytes, count, duration, percent } from "./format.js";
import { showButtons } from "./taskactions.js";
import { idOf, nameOf } from "./names.js";
import { addressOf } from "./router.js";
import { statusOf } from "./runwords.js";

const SHOWN = 8;
const EVERY = 2000; // ms between two looks at what they use
const RUNS = new Set(["running", "starting", "restarting"]);

export class NowList {
  /** `seen`: whether the list is. */
  constructor(app, lastRuns, seen) {
    this.#app = app;
    this.#lastRuns = lastRuns;
    this.#seen = seen;
    this.element = h("section.card.now", { "aria-label": "Running now", hidden: true }, h("h3", null, "Running now"), this.#list, this.#rest);
    setInterval(() => this.#tick(), 1000);
    setInterval(() => this.#ask(), EVERY);
  }

  element;
  #app;
  #lastRuns;
  #seen;
  #list = h("ul.rows");
  #rest = h("p.rest");
  #rows = new Map(); // task id -> its parts
  #usage = new Map(); // task id -> TaskUsage
  #noUsage = false;

  show() {
    const running = [...this.#app.store.tasks.values()].filter(({ status }) => RUNS.has(status));
    running.sort((one, other) => ((one.last_started_at ?? "") < (other.last_started_at ?? "") ? 1 : -1));
    const shown = running.slice(0, SHOWN);
    const gone = new Set(this.#rows.keys());
    let before = null;
    for (const task of shown) {
      gone.delete(task.task_id);
      if (!this.#rows.has(task.task_id)) this.#rows.set(task.task_id, this.#row(task.task_id));
      const { element } = this.#rows.get(task.task_id);
      const place = before ? before.nextSibling : this.#list.firstChild;
      if (place !== element) this.#list.insertBefore(element, place);
      before = element;
    }
    for (const id of gone) {
      this.#rows.get(id).element.remove();
      this.#rows.delete(id);
    }
    const more = running.length - shown.length;
    const queued = this.#app.store.total?.queue_depth ?? 0;
    const links = [
      more > 0 && h("a", { href: addressOf("tasks", [], { status: "running" }) }, `${count(more)} more running`),
      queued > 0 && h("a", { href: addressOf("tasks", [], { status: "queued" }) }, `${count(queued)} queued`),
    ].filter(Boolean);
    const key = `${more} ${queued}`;
    if (this.#rest.shown !== key) {
      this.#rest.shown = key;
      fill(this.#rest, links.flatMap((link, index) => (index ? [" · ", link] : [link])));
    }
    this.#rest.hidden = links.length === 0;
    this.element.hidden = shown.length === 0 && links.length === 0;
    this.#tick();
    if (shown.some(({ task_id: id }) => !this.#usage.has(id))) this.#ask();
  }

  #row(id) {
    const parts = { state: h("span"), time: h("span.lasted"), fill: h("span.fill"), uses: h("span.uses"), acts: h("span.acts"), status: "" };
    parts.bar = h("div.lasting", { role: "img" }, parts.fill);
    parts.name = h("a.name", { href: addressOf("tasks", [id]) });
    parts.element = h("li", { "data-task": id }, parts.state, h("span.who", null, parts.name, idOf(id)), parts.time, parts.bar, parts.uses, parts.acts);
    return parts;
  }

  // What goes on by itself; it stands still with the server's clock.
  #tick() {
    if (!this.#seen()) return;
    const { tasks } = this.#app.store;
    const { now } = this.#app.link;
    const all = [...this.#rows.keys()].map((id) => tasks.get(id)).filter(Boolean);
    const lasted = (task) => Math.max(0, now - Date.parse(task.last_started_at ?? task.created_at));
    for (const task of all) {
      const parts = this.#rows.get(task.task_id);
      if (parts.status !== task.status) {
        parts.status = task.status;
        fill(parts.state, statusOf(task));
      }
      setText(parts.name, nameOf(this.#app.store, task));
      const ran = lasted(task);
      const usual = this.#lastRuns.usual(task.action);
      const text = `${duration(ran)}${usual ? ` of about ${duration(usual)}` : ""}`;
      setText(parts.time, text);
      parts.bar.hidden = !usual; // there is nothing to compare with
      const share = usual ? Math.min(1, ran / usual) : 0;
      parts.fill.style.setProperty("--share", `${Math.max(1, share * 100)}%`);
      parts.bar.classList.toggle("over", usual > 0 && ran > usual * 1.5);
      parts.bar.setAttribute("aria-label", text);
      const use = this.#usage.get(task.task_id);
      setText(parts.uses, use ? [use.cpu === undefined ? "" : percent(use.cpu), bytes(use.rss)].filter(Boolean).join(" · ") : "");
      showButtons(parts.acts, this.#app, task, { only: ["stop"], words: true });
    }
  }

  async #ask() {
    const { link } = this.#app;
    if (this.#noUsage || !this.#seen() || document.hidden || !link.connected || !this.#rows.size) return;
    try {
      const { tasks } = await link.request({ type: "usage" }, { own: true });
      this.#usage = new Map(tasks.map((usage) => [usage.task_id, usage]));
      this.#tick();
    } catch {
      this.#noUsage = link.connected; // an older server
    }
  }
}
