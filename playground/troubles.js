// What failed lately, and why: what the server gave up on first, then other tasks with runs that failed; each task once,
// with the last line that its latest failure wrote to stderr.

import { fill, h, iconButton, setText } from "./dom.js";
import { many } from "./format.js";
import { nameOf, idOf } from "./names.js";
import { runOf } from "./lastruns.js";
import { exitOf, runAddress, statusOf } from "./runwords.js";
import { addressOf } from "./router.js";
import { perform, startAgain } from "./taskactions.js";
import { allowed } from "./auth.js";
import { whenOf } from "./when.js";

const SHOWN = 6;
const LOOKED_AT = 100; // failures: those of a few tasks that are started over and over are many
const LATELY = 7 * 86_400_000; // ms
const SOON = 900; // ms in which several events are asked about as one
const BAD = new Set(["errored", "failed", "lost"]);
const FAILED = new Set([...BAD, "restarting"]); // after a run that is one of the history's failed ones

export class Troubles {
  /** `seen`: whether the list is; `changed`: called when there is something else to be shown. */
  constructor(app, lastRuns, seen, changed) {
    this.#app = app;
    this.#lastRuns = lastRuns;
    this.#seen = seen;
    this.#changed = changed;
    this.#words = new LastWords(app, () => this.show());
    this.element = h("section.card.troubles", { "aria-label": "Failed lately", hidden: true }, h("h3", null, "Failed lately"), this.#list, this.#rest);
    app.link.on("*", ({ message }) => message.cursor && FAILED.has(message.task?.status) && this.#soon());
    app.link.on("status", ({ state }) => state === "open" && this.load());
    lastRuns.onChange(() => this.show());
  }

  element;
  #app;
  #lastRuns;
  #seen;
  #changed;
  #words;
  #list = h("ul.rows");
  #rest = h("p.rest", null, h("a", { href: addressOf("history", [], { status: "failed" }) }, "All failures"));
  #runs; // failed ones of the history, the newest first; undefined: not known yet
  #drawn = "";
  #timer = 0;

  /** How many tasks failed in the last day or were given up on; undefined: not known yet. */
  count;

  #soon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.load();
    }, SOON);
  }

  /** Look again. */
  async load() {
    const { link } = this.#app;
    if (!link.connected) return;
    if (this.#lastRuns.hasHistory) {
      const since = new Date(link.now - LATELY).toISOString();
      try {
        const ask = (state) => link.request({ type: "runs", state, since, limit: LOOKED_AT }, { own: true });
        const answers = await Promise.all([ask("failed"), ask("lost")]);
        this.#runs = answers.flatMap(({ runs }) => runs).sort(later);
      } catch (error) {
        this.#lastRuns.failed(error); // those that were known stay
      }
    }
    this.show();
  }

  show() {
    if (!this.#seen()) return;
    const { store, link } = this.#app;
    if (!store.listed) return;
    const tasks = [...store.tasks.values()].filter(({ status, last_exited_at: at }) => BAD.has(status) && at);
    const runs = this.#lastRuns.hasHistory ? this.#runs : tasks.filter(({ status }) => status !== "errored").map(runOf);
    const gaveUp = tasks.filter(({ status }) => status === "errored");
    const byTask = new Map();
    for (const run of runs ?? []) {
      const { task_id: id } = run;
      const known = store.tasks.get(id);
      const latest = byTask.get(id) ?? { ...run, times: 0, stopped: known?.status === "stopped", left: Boolean(run.gave_up) && !known };
      byTask.set(id, { ...latest, times: latest.times + 1 });
    }
    for (const task of gaveUp) byTask.set(task.task_id, { ...runOf(task), status: "errored", task });
    const troubles = [...byTask.values()].sort((one, other) => Number(Boolean(other.task)) - Number(Boolean(one.task)) || later(one, other));
    const lately = troubles.filter((each) => each.task || link.now - Date.parse(ended(each)) < 86_400_000);
    this.count = runs && lately.length;
    const shown = troubles.slice(0, SHOWN).map((each) => ({ ...each, word: this.#words.of(each), fine: this.#fineSince(each) }));
    const key = JSON.stringify([shown, link.connected, this.count]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.element.hidden = shown.length === 0;
    fill(this.#list, shown.map((each) => this.#row(each)));
    this.#changed();
  }

  // Whether the same has succeeded since.
  #fineSince({ action, params, started }) {
    const same = JSON.stringify(params ?? {});
    const runs = this.#lastRuns.of(action) ?? [];
    return runs.some((run) => run.status === "succeeded" && run.started > started && JSON.stringify(run.params ?? {}) === same);
  }

  #row(run) {
    const { store, link } = this.#app;
    const href = run.run_id ? runAddress(run) : addressOf("tasks", [run.task_id]);
    const why = h("span.why", null, reasonOf(run));
    const word = h("code.word", null);
    setText(word, run.word);
    return h(
      run.fine ? "li.fine" : "li",
      { "data-task": run.task_id },
      statusOf(run),
      h("span.who", null, h("a.name", { href }, nameOf(store, run)), idOf(run.task_id)),
      whenOf(ended(run), link.now),
      run.fine ? h("span.why", null, `${reasonOf(run)}, `, statusOfFine()) : why,
      run.word && !run.fine ? word : null,
      this.#button(run),
    );
  }

  // A server that was started since knows such a task only from its history: it is started, and not reset.
  #button(run) {
    if (!this.#app.link.connected) return null;
    const reset = () => perform(this.#app, "reset", run.task_id);
    const again = () => startAgain(this.#app, run);
    if (run.task && allowed("reset")) return h("span.acts", null, iconButton("reset", "Reset: start over", reset, { text: "Reset", kind: "plain" }));
    if (!run.left || run.fine || !allowed("start") || !this.#app.store.action(run.action)) return null;
    return h("span.acts", null, iconButton("again", "Start again with the same parameters", again, { text: "Start again", kind: "plain" }));
  }
}

const ended = (run) => run.ended ?? run.started ?? "";
const later = (one, other) => (ended(one) < ended(other) ? 1 : -1);

const statusOfFine = () => h("span.since", null, "succeeded since");

function reasonOf(run) {
  const last = run.status === "lost" ? "the server ended before it did" : run.error || exitOf(run);
  if (run.left) return [`gave up after ${many(run.gave_up, "exit")}`, last].filter(Boolean).join(": ");
  if (run.status === "errored" || (run.times === 1 && !run.stopped)) return last;
  const times = run.times === 1 ? "once" : many(run.times, "time");
  return [`failed ${times}${run.stopped ? ", then stopped" : ""}`, last].filter(Boolean).join(": ");
}

/** The last line that a run wrote to stderr, or to stdout; asked for once. */
class LastWords {
  constructor(app, changed) {
    this.#app = app;
    this.#changed = changed;
  }

  #app;
  #changed;
  #known = new Map(); // run id -> text
  #none = false; // the server has no logs

  of(run) {
    const id = run.run_id || `${run.task_id} ${run.started}`;
    if (!this.#known.has(id)) {
      this.#known.set(id, "");
      if (!this.#none) this.#ask(run, id);
    }
    return this.#known.get(id);
  }

  async #ask({ task_id, run_id }, id) {
    const about = { type: "logs", task_id, ...(run_id && { run_id }), tail: 1, limit: 1 };
    try {
      for (const stream of ["stderr", "stdout"]) {
        const { lines } = await this.#app.link.request({ ...about, stream }, { own: true });
        if (!lines.length) continue;
        this.#known.set(id, plain(lines.at(-1).data));
        this.#changed();
        return;
      }
    } catch (error) {
      this.#none ||= /data_dir/.test(error.message);
      if (!this.#app.link.connected) this.#known.delete(id);
    }
  }
}

// Without what colours it.
const plain = (text) => text.replace(/\x1b\[[0-9;:]*[A-Za-z]/g, "").trim().slice(0, 300);
