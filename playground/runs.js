// The list of runs, the newest first, also those from before a restart of the server.

import { fill, h, iconButton, inFrame, named } from "./dom.js";
import { count, exactly, many, moment, paramsText, sentence, shortMoment } from "./format.js";
import { RUN_STATES, STATES } from "./states.js";
import { idOf, nameOf, titleOf } from "./names.js";
import { addressOf, go } from "./router.js";
import { byOf, exitOf, lastedOf, neverRan, runAddress, statusOf } from "./runwords.js";
import { Timeline } from "./timeline.js";

const PAGE = 50;
const AGAIN = 1500; // ms between two looks while something happens

export class Runs {
  /** `seen`: whether the list is. */
  constructor(app, filters, seen) {
    this.#app = app;
    this.#filters = filters;
    this.#seen = seen;
    this.#timeline = new Timeline({
      open: (run) => go(runAddress(run)),
      choose: (from, to) => go(addressOf("history", [], filters.between(from, to))),
      titled: (action) => titleOf(app.store, action),
    });
    this.#older = h("button", { type: "button", hidden: true, onclick: () => this.#loadOlder() }, "Older runs");
    this.element = h("div.runs", null, this.#counts, this.#timeline.element, this.#list, this.#empty, this.#older);
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("pointerover", ({ target }) => this.#timeline.mark(target.closest(".run")?.dataset.run));
    this.#list.addEventListener("focusin", ({ target }) => this.#timeline.mark(target.closest(".run")?.dataset.run));
    // More of them when the end comes into sight.
    const sight = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.#loadOlder(), {
      root: this.element,
      rootMargin: "300px",
    });
    sight.observe(this.#older);
    app.store.on("tasks", () => this.#happened());
    app.link.on("status", ({ state }) => state === "open" && seen() && this.load());
  }

  element;
  #app;
  #filters;
  #seen;
  #timeline;
  #older;
  #counts = h("p.counts", { role: "status" });
  #list = h("ol.run-list", { "aria-label": "Runs" });
  #empty = h("div.empty", { hidden: true });
  #rows = new Map(); // run id -> its row
  #runs = [];
  #stale = false; // they are those of the query before
  #next = "";
  #problem = ""; // why there is nothing to be shown
  #asked = 0; // number of the latest question, so that an old one's answer is not shown
  #loading = false; // older ones
  #timer = 0;
  #latest = ""; // the run that had the focus last
  #draw = inFrame(() => this.#show());

  /** Load the current runs. `anew`: the query has changed, so the list begins at its top. */
  load({ anew = false } = {}) {
    if (anew) {
      this.element.scrollTop = 0;
      this.#next = ""; // older ones of another query
      this.#stale = true;
    }
    return this.#load();
  }

  /** The run that had the focus last, or the first. */
  get restAt() {
    return this.#button(this.#latest) ?? this.#list.querySelector(".run-open");
  }

  // Something has: look again, soon.
  #happened() {
    if (this.#timer || !this.#seen()) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#seen()) this.#load();
    }, AGAIN);
  }

  async #load(before = "") {
    const { link } = this.#app;
    if (!link.connected) return;
    this.#asked += 1;
    const mine = this.#asked;
    const { status, reason } = this.#filters;
    const request = { type: "runs", limit: PAGE, ...this.#filters.fields(link.now) };
    if (status.value) request.state = status.value;
    if (reason.value) request.reason = reason.value;
    if (before) request.before = before;
    try {
      const { runs, next = "" } = await link.request(request, { own: true });
      if (mine !== this.#asked) return;
      this.#take(runs, next, before);
      this.#problem = "";
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#runs = [];
      this.#next = "";
      this.#problem = error.message;
    }
    for (const { task_id: id } of this.#runs) this.#filters.seen.add(id);
    this.#draw();
  }

  // A page of older ones follows; a look at the newest leaves those that were loaded behind them.
  #take(runs, next, before) {
    if (before) {
      this.#runs = [...this.#runs, ...runs];
      this.#next = next;
      return;
    }
    const fresh = new Set(runs.map(({ run_id: id }) => id));
    const at = this.#stale ? -1 : this.#runs.findLastIndex(({ run_id: id }) => fresh.has(id));
    this.#stale = false;
    const behind = at < 0 ? [] : this.#runs.slice(at + 1);
    this.#runs = [...runs, ...behind];
    if (!behind.length) this.#next = next;
  }

  async #loadOlder() {
    if (!this.#next || this.#loading || this.#older.hidden) return;
    this.#loading = true;
    await this.#load(this.#next);
    this.#loading = false;
  }

  #show() {
    const runs = this.#runs;
    const { now } = this.#app.link;
    this.#showCounts();
    this.#timeline.show(runs, now, this.#filters.task.value.trim());
    const longest = Math.max(1, ...runs.map((run) => lastedOf(run, now) ?? 0));
    this.#showRows(runs.map((run) => this.#rowOf(run, now, longest)));
    this.#showEmpty();
    this.#older.hidden = !this.#next;
  }

  // What stays as it was is not touched, so that it keeps the focus, and costs nothing.
  #showRows(rows) {
    let at = this.#list.firstElementChild;
    for (const row of rows) {
      if (row === at) at = at.nextElementSibling;
      else this.#list.insertBefore(row, at);
    }
    while (at) {
      const next = at.nextElementSibling;
      this.#rows.delete(at.dataset.run);
      at.remove();
      at = next;
    }
  }

  // A run's row, rebuilt if anything about it has changed.
  #rowOf(run, now, longest) {
    const ran = lastedOf(run, now);
    const key = JSON.stringify([run, run.status === "running" ? exactly(ran) : "", shortMoment(run.started, now)]);
    const had = this.#rows.get(run.run_id);
    let row = had;
    if (had?.key !== key) {
      row = this.#row(run, now, ran);
      row.key = key;
      this.#rows.set(run.run_id, row);
      if (had?.parentNode) {
        const focused = had.contains(document.activeElement) ? document.activeElement.classList[0] : "";
        had.replaceWith(row);
        if (focused) row.querySelector(`.${focused}`)?.focus({ preventScroll: true });
      }
    }
    if (ran !== null) row.lasted.style.setProperty("--share", `${ran < longest / 50 ? 0 : (ran / longest) * 100}%`);
    return row;
  }

  #showCounts() {
    const counts = new Map();
    for (const { status } of this.#runs) counts.set(status, (counts.get(status) ?? 0) + 1);
    const parts = RUN_STATES.filter((name) => counts.has(name)).map((name) =>
      h(`span.state.s-${name}`, null, `${count(counts.get(name))} ${STATES[name].label.toLowerCase()}`),
    );
    const total = this.#runs.length ? `${this.#next ? "The latest " : ""}${many(this.#runs.length, "run")}` : "";
    const key = `${total} ${JSON.stringify([...counts])}`;
    if (this.#counts.shown === key) return; // or it would be read out again
    this.#counts.shown = key;
    fill(this.#counts, total, parts);
  }

  #showEmpty() {
    this.#empty.hidden = this.#runs.length > 0;
    if (this.#runs.length) return;
    if (/data_dir/.test(this.#problem)) {
      fill(this.#empty, h("h2", null, "No history"), h("p", null, sentence(this.#problem)), h("p", null, "With ", h("code", null, "data_dir: PATH"), " in it, runs and what they write are kept, also over restarts."));
    } else if (this.#problem) {
      fill(this.#empty, h("p.problem", null, sentence(this.#problem)), h("button", { type: "button", onclick: () => this.load() }, "Try again"));
    } else if (this.#filters.any) {
      const near = this.#filters.near.map((id) => h("button", { type: "button", onclick: () => this.#filters.clear(id) }, named(id)));
      const all = h("button.primary", { type: "button", onclick: () => this.#filters.clear() }, "Show all runs");
      fill(this.#empty, h("p", null, "No runs match the filters."), near.length ? h("p.row", null, "Did you mean ", near) : null, all);
    } else fill(this.#empty, h("p", null, "No runs yet. Start something under Actions (2): each run is listed here, and stays when its task is forgotten."));
  }

  #row(run, now, ran) {
    const params = paramsText(run.params);
    const lasted = h("span.run-lasted", null, ran === null ? "" : exactly(ran));
    const { store } = this.#app;
    const open = () => go(runAddress(run));
    const row = h(
      `li.run.s-${run.status}`,
      { "data-run": run.run_id },
      statusOf(run),
      h("button.run-open", { type: "button", title: "Show its output", onclick: open }, named(nameOf(store, run)), h("span.number", null, ` #${run.number}`)),
      h("span.run-id", null, idOf(run.task_id)),
      h("span.run-exit", null, exitOf(run)),
      lasted,
      h("time.run-when", { datetime: run.started, title: `${neverRan(run) ? "Ended" : "Started"} ${moment(run.started)}` }, shortMoment(run.started, now)),
      h("span.run-by", null, byOf(run.trigger)),
      run.error ? h("span.run-more.problem", { title: run.error }, run.error) : h("code.run-more", { title: params }, params),
      iconButton("filter", `Only runs of ${run.task_id}`, () => this.#filters.clear(run.task_id)),
    );
    return Object.assign(row, { lasted });
  }

  #button(runId) {
    return runId ? this.#list.querySelector(`[data-run="${CSS.escape(runId)}"] .run-open`) : null;
  }

  #focus(button) {
    if (!button) return;
    button.focus();
    button.closest(".run").scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const row = event.target.closest(".run");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    this.#latest = row.dataset.run;
    const to = {
      ArrowDown: row.nextElementSibling,
      ArrowUp: row.previousElementSibling,
      Home: this.#list.firstElementChild,
      End: this.#list.lastElementChild,
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    this.#focus(to[event.key]?.querySelector(".run-open"));
  }
}
