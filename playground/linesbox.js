// A box of lines that scrolls: it follows the end or stays where it is, unfolds lines, and has one that keys act
// on. Whose lines they are, and what stands around the box, is its owner's business.

import { copyText } from "./copy.js";
import { fill, h, icon, inFrame } from "./dom.js";
import { clock, many } from "./format.js";
import { LineView } from "./lineview.js";
import { makeRow, showPartials, showRow } from "./linerow.js";
import { say } from "./notices.js";
import { VirtualList } from "./vlist.js";

const ROW = 19; // px, as .line in output.css
const NEAR = 40; // rows from an edge at which more lines are asked for

export class LinesBox {
  /**
   * @param log a TaskLog, or what has its first, end, length, line and partials; `hasLater`: its end is not the
   *   lines' end.
   * @param options `label`: its name; `times`: whether they are shown; `keys`: further keys, {key: function};
   *   `drawn` ({more, removed}): called after each drawing; `near` (-1 or 1): the top or the bottom is near;
   *   `toEnd`: called before the end is shown, and may return a promise; `marked` (line): whether a row is;
   *   `chosen` (line): called when keys act on another line.
   */
  constructor(log, options) {
    this.#log = log;
    this.#options = options;
    this.scroller = h("div.lines", { tabindex: "0", role: "log", "aria-live": "off", "aria-label": options.label });
    this.element = h("div.lines-box", null, this.scroller, this.#end);
    this.#times = options.times;
    this.#list = new VirtualList(this.scroller, {
      rowHeight: ROW,
      make: makeRow,
      show: (row, at) => this.#show(row, at),
    });
    this.scroller.append(this.#partials);
    this.view = new LineView(log, () => this.#columns());
    this.paint = inFrame(() => this.#draw());
    this.#resized = new ResizeObserver(this.paint); // the end stays in sight
    this.#resized.observe(this.scroller);
    this.#listen();
    this.paint();
  }

  following = true;
  cursor = -1; // number of the line that keys act on
  #log;
  #options;
  #times;
  #list;
  #resized;
  #partials = h("div.partials");
  #end = h("button.to-end", { type: "button", hidden: true, onclick: () => this.toEnd() });
  #lastTop = 0; // where the lines were scrolled to when last looked at
  #held = null; // {number, offset}: the line at the top, and by how many px it is below the edge
  #anchor = null; // the same: to be there again once a new filter is through
  #goal = null; // {number, middle}: the line to be seen once the list has its new length
  #seek = 0; // 1: the next match is wanted, -1: the one before

  focus() {
    this.scroller.focus();
  }

  destroy() {
    this.#resized.disconnect();
    this.#list.destroy();
  }

  /** Show other lines, as LineView.setFilter has it, or more of them; what is at the top stays there. Throws
   * SyntaxError. */
  filter(filter) {
    if (!this.following) this.#anchor ??= this.#held;
    this.view.setFilter(filter);
    this.paint();
  }

  showTimes(on) {
    this.#times = on;
    this.redraw();
  }

  /** Draw the rows again that are in sight: something about them has changed. */
  redraw() {
    this.view.version += 1;
    this.paint();
  }

  pause(on) {
    this.view.pause(on);
    if (on) this.following = false;
    else this.#anchor = this.#held;
    this.paint();
  }

  /** The number of the line at the top. */
  get top() {
    return this.#held?.number ?? -1;
  }

  async toEnd() {
    await this.#options.toEnd?.();
    this.#anchor = null;
    this.cursor = -1;
    this.following = true;
    this.paint();
    this.focus();
  }

  /** Copy what is shown, with times where these are. */
  async copy() {
    const done = await copyText(this.view.text({ stamp: this.#times ? clock : null }));
    say(done ? "Copied" : "The browser does not allow copying; download it instead");
  }

  /** Go to a line, which keys then act on. */
  goTo(number, { middle = true } = {}) {
    this.following = false;
    this.#anchor = null;
    this.cursor = number;
    this.#goal = { number, middle };
    this.paint();
  }

  /** Go to the next line that matches the filter, once all lines have been looked at. */
  next(backwards) {
    this.#seek = backwards ? -1 : 1;
    this.paint();
  }

  #listen() {
    const { scroller } = this;
    scroller.addEventListener("scroll", () => {
      // Who scrolls up leaves the end; a box that becomes smaller does not.
      const { scrollTop } = scroller;
      if (this.#list.atEnd) this.following = !this.view.paused && !this.#log.hasLater;
      else if (scrollTop < this.#lastTop) this.following = false;
      this.#lastTop = scrollTop;
      this.#hold();
      this.#showEnd();
      this.#look();
    });
    scroller.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && (this.following = false), { passive: true });
    scroller.addEventListener("click", (event) => this.#clicked(event));
    scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  #hold() {
    const index = Math.min(Math.ceil(this.scroller.scrollTop / ROW), this.view.count - 1);
    this.#held = index < 0 ? null : { number: this.view.row(index).number, offset: index * ROW - this.scroller.scrollTop };
  }

  // Whether an edge is near.
  #look() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    if (!clientHeight || !this.#options.near) return;
    if (scrollTop < NEAR * ROW) this.#options.near(-1);
    if (scrollHeight - clientHeight - scrollTop < NEAR * ROW) this.#options.near(1);
  }

  #draw() {
    const { more, removed } = this.view.update();
    this.#list.setCount(this.view.count);
    showPartials(this.#partials, this.view.partials, { pattern: this.view.pattern, times: this.#times });
    if (this.following) {
      this.#list.toEnd();
      this.#lastTop = this.scroller.scrollTop;
    } else if (this.#anchor) {
      this.scroller.scrollTop = this.view.indexOf(this.#anchor.number) * ROW - this.#anchor.offset;
      this.#lastTop = this.scroller.scrollTop;
      if (!more) this.#anchor = null;
    } else if (removed) this.scroller.scrollTop -= removed * ROW;
    if (this.#seek && !more) this.#found();
    if (this.#goal) this.#list.reveal(this.view.indexOf(this.#goal.number), this.#goal);
    this.#goal = null;
    this.#list.paintNow();
    if (!this.#anchor) this.#hold();
    this.#options.drawn?.({ more });
    this.#showEnd();
    if (more) this.paint();
  }

  #showEnd() {
    const behind = this.view.paused ? this.view.behind : 0;
    this.#end.hidden = this.following || (this.#list.atEnd && !behind && !this.#log.hasLater);
    if (!this.#end.hidden) fill(this.#end, icon("down"), behind ? `${many(behind, "new line")}` : "to the end");
  }

  #show(row, index) {
    const what = this.view.row(index);
    if (!what?.line) return; // other lines took their place, and are drawn in the next frame
    const key = `${what.number} ${index} ${this.view.version}`;
    const current = what.number === this.cursor && !what.sub;
    row.classList.toggle("current", current);
    if (row.shown === key) return;
    row.shown = key;
    const { number, line } = what;
    const fold = !this.view.canUnfold(line) ? "" : this.view.isUnfolded(number) ? "open" : "closed";
    showRow(row, what, { pattern: this.view.pattern, times: this.#times, fold });
    row.classList.toggle("current", current);
    if (!what.sub && this.#options.marked?.(line)) row.classList.add("hit");
  }

  #columns() {
    return Math.floor((this.scroller.clientWidth - 70 - (this.#times ? 90 : 0)) / 7.3);
  }

  #clicked({ target }) {
    const marked = getSelection();
    if (!marked.isCollapsed && this.scroller.contains(marked.anchorNode)) return; // text is being selected
    const row = target.closest(".line");
    const index = row ? this.#list.indexOf(row) : -1;
    if (index < 0) return;
    const { number, sub } = this.view.row(index);
    if (sub) {
      if (sub.kind === "fold") this.#toggle(number, sub.path);
    } else {
      this.#choose(number);
      if (target.closest(".fold")) this.#toggle(number);
      this.paint();
    }
  }

  #choose(number) {
    this.cursor = number;
    this.#options.chosen?.(this.#log.line(number));
  }

  #toggle(number, path) {
    this.following = false;
    this.view.toggle(number, path);
    this.paint();
  }

  #found() {
    const from = this.cursor >= 0 ? this.cursor : this.view.count ? this.top - 1 : -1;
    const number = this.view.find(from, this.#seek < 0);
    this.#seek = 0;
    if (number < 0) return;
    this.following = false;
    this.cursor = number;
    this.#goal = { number, middle: true };
  }

  #step(by) {
    if (!this.view.count) return;
    const last = this.view.count - 1;
    const from = this.cursor < 0 ? last + 1 : this.view.indexOf(this.cursor);
    let index = Math.max(0, Math.min(last, from + by));
    // The rows of an unfolded line are stepped over.
    while (index > 0 && index < last && this.view.row(index).sub) index += Math.sign(by);
    const { number } = this.view.row(index);
    this.goTo(number, { middle: false });
    this.#choose(number);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: this.#list.page, PageUp: -this.#list.page };
    const acts = {
      End: () => this.toEnd(),
      Home: () => this.#step(-Infinity),
      Enter: () => this.cursor >= 0 && this.#toggle(this.cursor),
      ...this.#options.keys,
    };
    const act = event.key in steps ? () => this.#step(steps[event.key]) : acts[event.key];
    if (!act || act() === false) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
