// The output of one task: a head with its state, tools to search and filter, and the lines.

import { download, fill, flip, h, icon, inFrame, isPressed, setIcon, setText } from "./dom.js";
import { clock, count, many } from "./format.js";
import { buildPane } from "./pane.js";
import { LineView } from "./lineview.js";
import { makeRow, showPartials, showRow } from "./linerow.js";
import { VirtualList } from "./vlist.js";
import { STATES, exitText } from "./states.js";
import { recall, remember } from "./prefs.js";
import { copyText } from "./copy.js";
import { loadEarlierWith } from "./earlier.js";
import { say } from "./notices.js";
import { showButtons } from "./taskactions.js";

const ROW = 19; // px, as .line in output.css

export class Viewer {
  /** `app`: link, store, watch; `close`: called by the close button. */
  constructor(app, taskId, close) {
    this.taskId = taskId;
    this.#app = app;
    this.#log = app.watch.follow(taskId);
    this.#times = recall("times", false);
    const { element, parts } = buildPane(app, taskId, this.#times, () => this.focus());
    this.element = element;
    this.#parts = parts;
    this.#scroller = parts.scroller;
    this.#list = new VirtualList(this.#scroller, {
      rowHeight: ROW,
      make: makeRow,
      show: (row, at) => this.#show(row, at),
    });
    this.#scroller.append(this.#partials);
    this.#view = new LineView(this.#log, () => this.#columns());
    this.#paint = inFrame(() => this.#draw());
    this.#unlisten = app.watch.listen(taskId, this.#paint);
    this.#resized = new ResizeObserver(this.#paint); // the end stays in sight
    this.#resized.observe(this.#scroller);
    this.#listen(close);
    this.showTask();
    this.#paint();
  }

  #app;
  #log;
  #view;
  #list;
  #paint;
  #unlisten;
  #resized;
  #scroller;
  #times;
  #following = true;
  #lastTop = 0; // where the lines were scrolled to when last looked at
  #cursor = -1; // number of the line that keys act on
  #anchor = -1; // line to be at the top again once a new filter is through
  #goal = null; // {number, middle}: the line to be seen once the list has its new length
  #seek = 0; // 1: the next match is wanted, -1: the one before
  #parts;
  #partials = h("div.partials");

  focus() {
    this.#scroller.focus();
  }

  focusSearch() {
    this.#parts.search.focus();
  }

  destroy() {
    this.#unlisten();
    this.#resized.disconnect();
    this.#list.destroy();
    this.element.remove();
  }

  /** Show the task's current state. */
  showTask() {
    const task = this.#app.store.tasks.get(this.taskId);
    const { state, word, exit, action, banner, buttons, input } = this.#parts;
    const status = task?.status ?? "unknown";
    setIcon(state.firstChild, STATES[status]?.icon ?? "dots");
    setText(word, STATES[status]?.label ?? "Unknown");
    state.className = `state s-${status}`;
    setText(exit, task && status !== "running" ? exitText(task, this.#app.watch.signal(this.taskId)) : "");
    setText(action, task?.action ?? "");
    const reason = task?.error_message ?? "";
    banner.hidden = !reason;
    setText(banner.lastChild, reason);
    input.showTask(task);
    showButtons(buttons, this.#app, task);
  }

  #listen(close) {
    const { search, only, out, err, time, pause } = this.#parts;
    this.#parts.close.addEventListener("click", close);
    this.#parts.copy.addEventListener("click", () => this.#copy());
    this.#parts.save.addEventListener("click", () => download(`${this.taskId}.log`, this.#view.text({ raw: true })));
    this.#parts.end.addEventListener("click", () => this.#toEnd());
    const show = () => ((this.#following = false), this.#refilter()); // what is at the top stays there
    loadEarlierWith(this.#parts.earlier, this.#app, this.taskId, show);
    search.addEventListener("input", () => this.#refilter());
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#next(event.shiftKey);
      else if (event.key !== "Escape") return;
      else if (search.value) {
        search.value = "";
        this.#refilter();
      } else this.focus();
      event.preventDefault();
      event.stopPropagation();
    });
    for (const button of [only, out, err]) button.addEventListener("click", () => (flip(button), this.#refilter()));
    time.addEventListener("click", () => {
      this.#times = flip(time);
      remember("times", this.#times);
      this.#view.version += 1;
      this.#paint();
    });
    pause.addEventListener("click", () => this.#pause(flip(pause)));
    this.#scroller.addEventListener("scroll", () => {
      // Who scrolls up leaves the end; a box that becomes smaller does not.
      const { scrollTop } = this.#scroller;
      if (this.#list.atEnd) this.#following = !this.#view.paused;
      else if (scrollTop < this.#lastTop) this.#following = false;
      this.#lastTop = scrollTop;
      this.#showEnd();
    });
    this.#scroller.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && (this.#following = false), {
      passive: true,
    });
    this.#scroller.addEventListener("click", (event) => this.#clicked(event));
    this.#scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  #refilter() {
    const { search, found, only, out, err } = this.#parts;
    only.hidden = !search.value;
    if (!this.#following && this.#view.count) this.#anchor = this.#top();
    try {
      const [hide, withOut, withErr] = [only, out, err].map(isPressed);
      this.#view.setFilter({ text: search.value, only: hide, out: withOut, err: withErr });
      search.removeAttribute("aria-invalid");
    } catch {
      search.setAttribute("aria-invalid", "true");
      setText(found, "no valid expression");
      return;
    }
    this.#paint();
  }

  #top() {
    const index = Math.min(Math.ceil(this.#scroller.scrollTop / ROW), this.#view.count - 1);
    return this.#view.row(index).number;
  }

  #pause(on) {
    const top = this.#view.count ? this.#top() : 0;
    this.#view.pause(on);
    setIcon(this.#parts.pause.firstChild, on ? "run" : "pause");
    setText(this.#parts.pause.lastChild, on ? "go on" : "pause");
    if (on) this.#following = false;
    else this.#anchor = top;
    this.#paint();
  }

  #draw() {
    const { more, removed } = this.#view.update();
    this.#list.setCount(this.#view.count);
    showPartials(this.#partials, this.#view.partials, { pattern: this.#view.pattern, times: this.#times });
    if (this.#following) {
      this.#list.toEnd();
      this.#lastTop = this.#scroller.scrollTop;
    } else if (this.#anchor >= 0) {
      this.#scroller.scrollTop = this.#view.indexOf(this.#anchor) * ROW;
      if (!more) this.#anchor = -1;
    } else if (removed) this.#scroller.scrollTop -= removed * ROW;
    if (this.#seek && !more) this.#found();
    if (this.#goal) this.#list.reveal(this.#view.indexOf(this.#goal.number), this.#goal);
    this.#goal = null;
    this.#list.paintNow();
    const { found, search, size, earlier } = this.#parts;
    setText(found, search.value ? `${count(this.#view.matchCount)}${more ? "…" : ""} found` : "");
    const missed = this.#log.missed ? `, ${count(this.#log.missed)} not shown` : "";
    setText(size, many(this.#log.length, "line") + missed);
    earlier.update(this.#log);
    this.#showEnd();
    if (more) this.#paint();
  }

  #showEnd() {
    const { end } = this.#parts;
    const behind = this.#view.paused ? this.#view.behind : 0;
    end.hidden = this.#following || (this.#list.atEnd && !behind);
    if (!end.hidden) fill(end, icon("down"), behind ? `${many(behind, "new line")}` : "to the end");
  }

  #toEnd() {
    if (this.#view.paused) this.#parts.pause.click();
    this.#anchor = -1;
    this.#cursor = -1;
    this.#following = true;
    this.#paint();
    this.focus();
  }

  #show(row, index) {
    const what = this.#view.row(index);
    const key = `${what.number} ${index} ${this.#view.version}`;
    const current = what.number === this.#cursor && !what.sub;
    row.classList.toggle("current", current);
    if (row.shown === key) return;
    row.shown = key;
    const { number, line } = what;
    const fold = !this.#view.canUnfold(line) ? "" : this.#view.isUnfolded(number) ? "open" : "closed";
    showRow(row, what, { pattern: this.#view.pattern, times: this.#times, fold });
    row.classList.toggle("current", current);
  }

  #columns() {
    return Math.floor((this.#scroller.clientWidth - 70 - (this.#times ? 90 : 0)) / 7.3);
  }

  #clicked({ target }) {
    const marked = getSelection();
    if (!marked.isCollapsed && this.#scroller.contains(marked.anchorNode)) return; // somebody marks text
    const row = target.closest(".line");
    const index = row ? this.#list.indexOf(row) : -1;
    if (index < 0) return;
    const { number, sub } = this.#view.row(index);
    if (sub) {
      if (sub.kind === "fold") this.#toggle(number, sub.path);
    } else {
      this.#cursor = number;
      if (target.closest(".fold")) this.#toggle(number);
      this.#paint();
    }
  }

  #toggle(number, path) {
    this.#following = false;
    this.#view.toggle(number, path);
    this.#paint();
  }

  // Go to the next line that matches, once all lines have been looked at.
  #next(backwards) {
    this.#seek = backwards ? -1 : 1;
    this.#paint();
  }

  #found() {
    const from = this.#cursor >= 0 ? this.#cursor : this.#view.count ? this.#top() - 1 : -1;
    const number = this.#view.find(from, this.#seek < 0);
    this.#seek = 0;
    if (number < 0) return;
    this.#following = false;
    this.#cursor = number;
    this.#goal = { number, middle: true };
  }

  #step(by) {
    if (!this.#view.count) return;
    const last = this.#view.count - 1;
    const from = this.#cursor < 0 ? last + 1 : this.#view.indexOf(this.#cursor);
    let index = Math.max(0, Math.min(last, from + by));
    // The rows of an unfolded line are stepped over.
    while (index > 0 && index < last && this.#view.row(index).sub) index += Math.sign(by);
    this.#following = false;
    this.#cursor = this.#view.row(index).number;
    this.#goal = { number: this.#cursor, middle: false };
    this.#paint();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: this.#list.page, PageUp: -this.#list.page };
    const acts = {
      End: () => this.#toEnd(),
      Home: () => this.#step(-Infinity),
      Enter: () => this.#cursor >= 0 && this.#toggle(this.#cursor),
      p: () => this.#parts.pause.click(),
      t: () => this.#parts.time.click(),
      "/": () => this.focusSearch(),
      n: () => this.#parts.search.value && this.#next(false),
      N: () => this.#parts.search.value && this.#next(true),
    };
    const act = event.key in steps ? () => this.#step(steps[event.key]) : acts[event.key];
    if (!act || (event.key.toLowerCase() === "n" && !this.#parts.search.value)) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }

  async #copy() {
    const done = await copyText(this.#view.text({ stamp: this.#times ? clock : null }));
    say(done ? "Copied" : "The browser does not allow copying; download it instead");
  }
}
