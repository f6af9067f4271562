// One run: how it went, and all of its output out of the log, to be read from end to end, searched, and entered
// at any time. Parts of it are loaded as they come into sight.

import { fill, h, icon, inFrame } from "./dom.js";
import { count } from "./format.js";
import { LinesBox } from "./linesbox.js";
import { Finder, patternOf } from "./logsearch.js";
import { say } from "./notices.js";
import { recall, remember } from "./prefs.js";
import { findRun, saveRun } from "./runfetch.js";
import { RunHead } from "./runhead.js";
import { RunLines } from "./runlines.js";
import { buildRunTools } from "./runtools.js";
import { addressOf, notesOf } from "./runwords.js";

const AGAIN = 1000; // ms between two looks at a run that goes on
const FAR = 5000; // lines: who follows the end and is further behind goes there at once

export class RunPage {
  constructor(app) {
    this.#app = app;
    this.#times = recall("times", false);
    this.#tools = buildRunTools(this.#times, {
      find: () => this.#find(),
      next: (backwards) => this.#next(backwards),
      jump: (time) => this.#jump(time),
      streams: () => this.#reload(),
      times: (on) => this.#showTimes(on),
    });
    this.search = this.#tools.search;
    this.#head = new RunHead({
      back: () => app.views.history.home(),
      live: () => this.#live(),
      all: () => app.views.history.showTask(this.#taskId),
      copy: () => this.#box.copy(),
      save: () => this.#read(() => saveRun(this.#lines)),
    });
    this.element = h("section.run-page", { "aria-label": "One run", hidden: true }, this.#head.element, this.#problem, this.#tools.element, this.#place);
    app.link.on("status", ({ state }) => state === "open" && this.shown && !this.#box && this.#begin());
  }

  element;
  search;
  wanted = null; // what is looked for as the next run is opened
  #app;
  #times;
  #tools;
  #head;
  #problem = h("p.banner", { role: "alert", hidden: true });
  #place = h("div.run-lines");
  #taskId = "";
  #runId = "";
  #run = null;
  #lines = null;
  #box = null;
  #finder = null;
  #seq = 0; // the line that is wanted; 0: the end
  #timer = 0;
  #soon = 0;
  #locate = inFrame(() => this.#showPlace());

  get shown() {
    return !this.element.hidden;
  }

  get restAt() {
    return this.#box?.scroller;
  }

  /** Show a run's output: at this line, else at its end. */
  async open(taskId, runId, seq) {
    if (this.shown && this.#runId === runId && this.#lines) {
      if (seq) await this.#goTo(seq);
      return;
    }
    this.close();
    this.element.hidden = false;
    [this.#taskId, this.#runId] = [taskId, runId];
    this.#tools.clear(this.wanted);
    this.wanted = null;
    this.#head.begin(taskId);
    this.#seq = seq;
    await this.#begin();
  }

  close() {
    this.element.hidden = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#soon);
    this.#finder?.find({ text: "" });
    this.#box?.destroy();
    fill(this.#place);
    [this.#run, this.#lines, this.#box, this.#finder, this.#runId] = [null, null, null, null, ""];
  }

  async #begin() {
    const [mine, seq] = [this.#runId, this.#seq];
    this.element.classList.add("is-empty"); // as long as there is nothing to be read
    this.#say("");
    if (!this.#app.link.connected) return; // yet
    try {
      const run = await findRun(this.#app.link, this.#taskId, this.#runId);
      if (mine !== this.#runId) return;
      if (!run) {
        this.#say("This run no longer exists: the history has removed it, or it belongs to an action that you may not see.");
        return;
      }
      this.#box?.destroy();
      this.#run = run;
      this.#lines = new RunLines(this.#app.link, run, notesOf(run));
      this.#finder = new Finder(this.#app.link, run, () => this.#found());
      this.element.classList.remove("is-empty");
      this.#showHead();
      this.#makeBox();
      await this.#read(() => this.#lines.look());
      if (mine !== this.#runId) return;
      await (seq ? this.#goTo(seq) : this.#toEnd());
      this.#box?.focus();
      if (this.search.value) this.#find();
      this.#tick();
    } catch (error) {
      if (mine === this.#runId) this.#say(`The run cannot be shown: ${error.message}`, () => this.#begin());
    }
  }

  #makeBox() {
    const { search } = this;
    this.#box = new LinesBox(this.#lines, {
      label: `Output of ${this.#taskId}`,
      times: this.#times,
      drawn: this.#locate,
      near: (edge) => this.#more(edge),
      toEnd: () => this.#lines.hasLater && this.#lines.loadEnd(),
      marked: ({ seq }) => this.#finder.has(seq),
      chosen: ({ seq }) => seq > 0 && Number.isFinite(seq) && history.replaceState(null, "", addressOf(this.#run, seq)),
      keys: {
        "/": () => search.focus(),
        n: () => (search.value ? this.#next(false) : false),
        N: () => (search.value ? this.#next(true) : false),
        t: () => this.#tools.time.click(),
        g: () => this.#tools.at.focus(),
        Home: () => this.#lines.total > 0 && this.#goTo(this.#lines.lowest),
      },
    });
    this.#box.following = false;
    this.#box.scroller.addEventListener("scroll", this.#locate, { passive: true });
    fill(this.#place, this.#box.element);
  }

  #say(text, again = null) {
    this.#problem.hidden = !text;
    fill(this.#problem, icon("bad"), h("span", null, text), again ? h("button", { type: "button", onclick: again }, "Try again") : null);
  }

  // What reads lines; what fails is said.
  async #read(act) {
    try {
      return await act();
    } catch (error) {
      const text = /task not found/.test(error.message) ? "" : `The log cannot be read: ${error.message}`;
      if (text) this.#say(text, () => this.#begin());
      return false;
    }
  }

  // Take in what was loaded; the filter's pattern marks what is looked for.
  #show() {
    const { wanted } = this.#tools;
    this.#box?.filter({ text: "", only: false, out: true, err: true, mark: wanted.text ? patternOf(wanted) : null });
  }

  async #toEnd() {
    await this.#read(() => this.#lines.loadEnd());
    if (!this.#box) return;
    this.#box.following = true;
    this.#show();
  }

  async #goTo(seq) {
    const lines = this.#lines;
    if (!lines.holds(seq) && !(await this.#read(async () => (await lines.loadAround(seq), true)))) return;
    if (lines !== this.#lines) return;
    this.#show();
    this.#box.goTo(lines.numberOf(seq));
    history.replaceState(null, "", addressOf(this.#run, seq));
  }

  async #more(edge) {
    const lines = this.#lines;
    const had = edge < 0 ? lines.loadEarlier() : lines.loadLater();
    if (had && (await this.#read(() => had)) && lines === this.#lines) this.#show();
  }

  async #reload() {
    if (!this.#lines) return;
    const top = this.#box.following ? undefined : this.#lines.line(this.#box.top)?.seq;
    this.#lines.stream = this.#tools.stream;
    if (!Number.isFinite(top)) return this.#toEnd();
    await this.#read(() => this.#lines.loadAround(top));
    this.#show();
    this.#box.goTo(this.#lines.numberOf(top));
  }

  async #jump(time) {
    const seq = await this.#read(() => this.#lines.seqAt(time));
    if (seq) await this.#goTo(seq);
    else if (seq === 0) {
      say("All of its lines are from before that time: this is its end");
      await this.#toEnd();
    }
  }

  #find() {
    clearTimeout(this.#soon);
    this.#show();
    this.#finder?.find(this.#tools.wanted);
  }

  // More was found, or all was.
  #found() {
    const { busy, seqs, problem } = this.#finder;
    this.#box?.redraw();
    this.#showCount();
    if (problem) return;
    const here = this.#here;
    if (!busy && seqs.length && !this.#finder.has(here)) this.#next(false, this.#box.cursor < 0 ? 0 : here - 1);
  }

  // The seq that one is at.
  get #here() {
    const { cursor, top } = this.#box;
    return this.#lines.line(cursor >= this.#lines.first && cursor < this.#lines.end ? cursor : top)?.seq ?? 0;
  }

  async #next(backwards, from = this.#here) {
    const seq = this.#finder?.next(from, backwards);
    if (!seq) return;
    await this.#goTo(seq);
    this.#showCount();
  }

  #showCount() {
    this.#tools.showFound(this.#tools.wanted.text ? this.#finder.words(this.#here) : "", Boolean(this.#finder.problem));
  }

  #showTimes(on) {
    this.#times = on;
    remember("times", on);
    this.#box?.showTimes(on);
  }

  #showPlace() {
    if (!this.#lines) return;
    const { total } = this.#lines;
    const { seq = 0 } = this.#lines.line(this.#box.top) ?? {};
    this.#tools.showPlace(total ? `line ${count(this.#lines.place(seq))} of ${count(total)}` : "no lines");
    if (this.#tools.wanted.text) this.#showCount();
  }

  // A run that goes on has more lines, and ends.
  #tick() {
    clearTimeout(this.#timer);
    if (this.#run?.status !== "running") return;
    this.#timer = setTimeout(async () => {
      if (!document.hidden && this.shown && this.#app.view === "history" && this.#app.link.connected) await this.#follow();
      this.#tick();
    }, AGAIN);
  }

  async #follow() {
    const [lines, mine] = [this.#lines, this.#runId];
    const run = await this.#read(() => findRun(this.#app.link, this.#taskId, mine));
    if (!run || mine !== this.#runId) return;
    this.#run = run;
    this.#showHead();
    const { following } = this.#box;
    await this.#read(() => lines.look());
    if (mine !== this.#runId) return;
    lines.update(run, notesOf(run).foot);
    if (following) {
      if (lines.left > FAR) await this.#read(() => lines.loadEnd());
      while (lines.hasLater && (await this.#read(() => lines.loadLater())));
      if (mine !== this.#runId) return;
      this.#box.following = true;
    }
    this.#show();
  }

  #showHead() {
    this.#head.show(this.#run, this.#app.link.now);
    this.#tools.showTime(this.#run);
  }

  #live() {
    this.#app.show("tasks");
    this.#app.panes.open(this.#run.task_id, { focus: true });
  }
}
