// One run: how it went, and all of its output out of the log, to be read from end to end, searched, and entered
// at any time. Parts of it are loaded as they come into sight.

import { fill, h, icon, inFrame } from "./dom.js";
import { count, many } from "./format.js";
import { lineLook } from "./lineprefs.js";
import { LinesBox } from "./linesbox.js";
import { LineTools } from "./linetools.js";
import { patternOf } from "./logsearch.js";
import { say } from "./notices.js";
import { go, settle } from "./router.js";
import { findRun, saveLog } from "./runfetch.js";
import { RunFollower } from "./runfollower.js";
import { RunHead } from "./runhead.js";
import { RunLines } from "./runlines.js";
import { RunSearch } from "./runsearch.js";
import { notesOf, runAddress } from "./runwords.js";

const SETTLED = 350; // ms without another key, after which what was typed is looked for

export class RunPage {
  constructor(app) {
    this.#app = app;
    this.#tools = new LineTools({
      label: "Search this run's output",
      hint: "Search all of it",
      settle: SETTLED,
      more: [h("hr"), h("button", { type: "button", onclick: () => this.box?.pick.copyAll() }, "Copy the lines that are loaded")],
      acts: {
        find: () => this.#find(),
        next: (backwards) => this.#finder?.next(backwards),
        leave: () => this.box?.focus(),
        streams: () => this.#reload(),
        look: (look) => this.box?.show(look),
        jump: (time) => this.#jump(time),
        error: (backwards) => this.box?.hands.error(backwards),
        follow: (on) => this.box?.follow(on),
      },
    });
    this.search = this.#tools.search;
    this.#head = new RunHead({
      back: () => app.views.history.home(),
      live: () => this.#live(),
      all: () => app.views.history.showTask(this.#taskId),
      save: () => saveLog(`runs/${encodeURIComponent(this.#runId)}`, `${this.#taskId}-${this.run.number}.log`),
      step: (by) => this.#step(by),
    });
    this.#follower = new RunFollower(app, this);
    this.element = h("section.run-page", { "aria-label": "One run", hidden: true }, this.#head.element, this.#problem, this.#follower.element, this.#tools.element, this.#place);
    app.link.on("status", ({ state }) => (state === "open" && this.shown && !this.box ? this.#begin() : this.#showFollow()));
  }

  element;
  search;
  wanted = null; // what is looked for as the next run is opened
  followed = false; // the run was seen to go on
  run = null; // as the server has it
  lines = null; // RunLines
  box = null; // LinesBox
  #app;
  #tools;
  #head;
  #problem = h("p.banner", { role: "alert", hidden: true });
  #follower;
  #place = h("div.run-lines");
  #taskId = "";
  #runId = "";
  #previous = null; // the run that was followed to its end before this one
  #finder = null;
  #seq = 0; // the line that is wanted
  #at = ""; // or the time; without either the end is
  #locate = inFrame(() => this.#showPlace());

  get shown() {
    return !this.element.hidden;
  }

  /** Where it is, in the page's address. */
  get address() {
    return runAddress({ task_id: this.#taskId, run_id: this.#runId }, this.#seq);
  }

  get restAt() {
    return this.box?.scroller;
  }

  /** Show a run's output: at a line or a time, else at its end. `previous`: the run that was followed to here. */
  async open(taskId, runId, { seq = 0, at = "", previous = null }) {
    if (this.shown && this.#runId === runId && this.lines) {
      if (seq) await this.goTo(seq);
      else if (at) await this.#jump(at);
      return;
    }
    this.close();
    this.element.hidden = false;
    [this.#taskId, this.#runId, this.#seq, this.#at, this.#previous] = [taskId, runId, seq, at, previous];
    if (this.wanted || !previous) this.search.wanted = this.wanted ?? undefined;
    if (!previous) this.#tools.menu.clear();
    this.wanted = null;
    this.#head.begin(taskId);
    await this.#begin();
  }

  close() {
    this.element.hidden = true;
    this.#follower.end();
    this.followed = false;
    this.#finder?.end();
    this.box?.destroy();
    fill(this.#place);
    [this.run, this.lines, this.box, this.#finder, this.#runId] = [null, null, null, null, ""];
  }

  async #begin() {
    const [mine, seq, at] = [this.#runId, this.#seq, this.#at];
    this.element.classList.add("is-empty"); // as long as there is nothing to be read
    this.#say("");
    if (!this.#app.link.connected) return; // yet
    try {
      const run = await findRun(this.#app.link, this.#taskId, ({ run_id: id }) => id === mine);
      if (mine !== this.#runId) return;
      if (!run) {
        this.#say("This run no longer exists: the history has removed it, or it belongs to an action that you may not see.");
        return;
      }
      this.box?.destroy();
      this.run = run;
      this.lines = new RunLines(this.#app.link, run, notesOf(run, this.#previous));
      this.#finder = new RunSearch(this.#app.link, this, this.search);
      this.element.classList.remove("is-empty");
      this.#showHead();
      await this.read(() => this.lines.look());
      if (mine !== this.#runId) return;
      this.#makeBox();
      await (seq ? this.goTo(seq) : at ? this.#jump(at) : this.#toEnd());
      this.box?.focus();
      if (this.search.wanted.text) this.#find();
      this.#follower.begin();
    } catch (error) {
      if (mine === this.#runId) this.#say(`The run cannot be shown: ${error.message}`, () => this.#begin());
    }
  }

  #makeBox() {
    const [lines, finder] = [this.lines, this.#finder];
    this.box = new LinesBox(lines, {
      label: `Output of ${this.#taskId}`,
      look: lineLook(),
      drawn: this.#locate,
      near: (edge) => this.#more(edge),
      toEnd: () => lines.hasLater && lines.loadEnd(),
      hits: () => finder.seqs.filter((seq) => lines.holds(seq)).map((seq) => lines.numberOf(seq)),
      marked: ({ seq }) => finder.has(seq),
      link: ({ seq }) => runAddress(this.run, seq),
      chosen: ({ seq }) => this.#chose(seq),
      keys: {
        ...this.#tools.menu.keys,
        "/": () => this.search.focus(),
        n: () => (this.search.wanted.text ? this.#finder.next(false) : false),
        N: () => (this.search.wanted.text ? this.#finder.next(true) : false),
        p: () => this.box.follow(!this.box.following),
        "[": () => this.#step(-1),
        "]": () => this.#step(1),
        Home: () => lines.total > 0 && this.goTo(lines.lowest),
      },
    });
    this.box.scroller.addEventListener("scroll", this.#locate, { passive: true });
    fill(this.#place, this.box.element);
  }

  #say(text, again = null) {
    this.#problem.hidden = !text;
    fill(this.#problem, icon("bad"), h("span", null, text), again ? h("button", { type: "button", onclick: again }, "Try again") : null);
  }

  /** Call what reads lines; what fails is said. */
  async read(act) {
    try {
      return await act();
    } catch (error) {
      const text = /task not found/.test(error.message) ? "" : `The log cannot be read: ${error.message}`;
      if (text) this.#say(text, () => this.#begin());
      return false;
    }
  }

  // Take in what was loaded; what is looked for is marked.
  #show() {
    const { wanted } = this.search;
    this.box?.filter({ mark: wanted.text ? patternOf(wanted) : null });
    this.box?.marks.reset();
  }

  async #toEnd() {
    await this.read(() => this.lines.loadEnd());
    this.#show();
    await this.box?.toEnd();
  }

  /** Show a line of it. */
  async goTo(seq) {
    const lines = this.lines;
    if (!lines.holds(seq) && !(await this.read(async () => (await lines.loadAround(seq), true)))) return;
    if (lines !== this.lines) return;
    this.#show();
    this.box.goTo(lines.numberOf(seq));
    this.#chose(seq);
  }

  #chose(seq) {
    if (!(seq > 0 && Number.isFinite(seq))) return;
    this.#seq = seq;
    settle(this.address);
  }

  async #more(edge) {
    const lines = this.lines;
    const had = edge < 0 ? lines.loadEarlier() : lines.loadLater();
    if (had && (await this.read(() => had)) && lines === this.lines) this.#show();
  }

  async #reload() {
    if (!this.lines) return;
    const { out, err } = this.#tools.filter;
    const top = this.box.following ? undefined : this.lines.line(this.box.top)?.seq;
    this.lines.stream = out && err ? "" : out ? "stdout" : "stderr";
    if (!Number.isFinite(top)) return this.#toEnd();
    await this.read(() => this.lines.loadAround(top));
    this.#show();
    this.box.goTo(this.lines.numberOf(top));
  }

  async #jump(time) {
    const seq = await this.read(() => this.lines.seqAt(time));
    if (seq) await this.goTo(seq);
    else if (seq === 0) {
      say("All of its lines are from before that time: this is its end");
      await this.#toEnd();
    }
  }

  #find() {
    this.#show();
    this.#finder?.find();
  }

  #showPlace() {
    if (!this.lines || !this.box) return;
    const { total } = this.lines;
    const { seq = 0 } = this.lines.line(this.box.top) ?? {};
    const { scrollHeight, clientHeight } = this.box.scroller;
    const whole = scrollHeight <= clientHeight && !this.lines.hasEarlier && !this.lines.hasLater;
    const size = whole ? many(total, "line") : `${count(this.lines.place(seq))} of ${many(total, "line")}`;
    this.#tools.showSize(total ? size : "no lines");
    this.#tools.showErrors(this.box.marks.count);
    this.#showFollow();
    if (this.search.wanted.text) this.#finder.show();
  }

  #showFollow() {
    if (!this.box) return;
    const state = !this.#app.link.connected ? "offline" : this.run.status === "running" ? "live" : "over";
    this.#tools.showFollow({ following: this.box.following, behind: 0, state });
  }

  /** The run is this now, and its lines have been brought up to date. */
  update(run) {
    this.followed = true;
    this.run = run;
    this.#showHead();
    this.#show();
  }

  /** Go on with the next run, which began when this one had ended. */
  goOn(next) {
    const before = this.run;
    settle(runAddress(next));
    this.open(next.task_id, next.run_id, { previous: before });
  }

  async #step(by) {
    const found = this.run && (await this.#follower.beside(by).catch(() => undefined));
    if (found) go(runAddress(found));
    else say(by < 0 ? "No earlier run is kept" : "This is its latest run");
  }

  #showHead() {
    const { started, ended } = this.run;
    this.#head.show(this.run, this.#app.link.now, this.#app.store);
    this.#tools.menu.showTimes(Date.parse(started), ended ? Date.parse(ended) : 0);
  }

  #live() {
    this.#app.show("tasks");
    this.#app.panes.open(this.run.task_id, { focus: true, instead: true });
  }
}
