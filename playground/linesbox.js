// A box of lines that scrolls: it follows the end or stays where it is, unfolds and wraps lines, and has one that keys
// act on. Whose lines they are, and what stands around the box, is its owner's business.

import { h, inFrame } from "./dom.js";
import { LineHands } from "./linehands.js";
import { LinePick } from "./linepick.js";
import { LineView } from "./lineview.js";
import { makeRow, showPartials, showRow } from "./linerow.js";
import { Marks } from "./marks.js";
import { VirtualList } from "./vlist.js";
import { EndButton } from "./endbutton.js";
import { Ruler } from "./ruler.js";

const ROW = 19; // px, as .line in output.css
const NEAR = 40; // rows from an edge at which more lines are asked for

export class LinesBox {
  /**
   * @param log a TaskLog, or what has its first, end, length, line and partials; `freeze`: it can be held still;
   *   `hasLater`: its end is not the lines' end.
   * @param options `label`: its name; `look`: {times, numbers, wrap}; `keys`: further keys, {key: function};
   *   `drawn` ({more}): called after each drawing; `near` (-1 or 1): the top or the bottom is near; `toEnd`: called
   *   before the end is shown, and may return a promise; `hits` () and `marked` (line): the numbers of the lines that
   *   were found elsewhere, in order, and whether a line is one; `link` (line, number): its address; `who` (number):
   *   whose it is; `chosen` (line, number): called when keys act on another.
   */
  constructor(log, options) {
    this.#log = log;
    this.#options = options;
    this.#look = options.look;
    this.scroller = h("div.lines", { tabindex: "0", role: "log", "aria-live": "off", "aria-label": options.label });
    this.#list = new VirtualList(this.scroller, { rowHeight: ROW, make: makeRow, show: (row, at) => this.#show(row, at) });
    this.#ruler = new Ruler(this.scroller);
    this.view = new LineView(log, () => this.#ruler.columns);
    this.marks = new Marks(this.view, ROW, (share) => this.#scrollTo(share));
    this.pick = new LinePick(this.view, this.scroller);
    this.hands = new LineHands(this, this.#list, options);
    this.scroller.append(this.#partials);
    this.element = h("div.lines-box", null, this.scroller, this.marks.element, this.#end.element);
    this.paint = inFrame(() => this.#draw());
    this.#resized = new ResizeObserver(() => this.#measure());
    this.#resized.observe(this.scroller);
    this.#listen();
    this.paint();
  }

  following = true;
  #log;
  #options;
  #look;
  #filter = {};
  #list;
  #ruler;
  #resized;
  #partials = h("div.partials");
  #end = new EndButton(() => this.toEnd());
  #lastTop = 0; // where the lines were scrolled to when last looked at
  #held = null; // {number, offset}: the line at the top, and by how many px it is below the edge
  #anchor = null; // the same: to be there again once a new filter is through
  #goal = null; // {number, middle}: the line to be seen once the list has its new length
  #then = null; // what waits until all lines have been looked at
  #stale = Infinity; // lines from this number on have changed, and that was not taken in
  #due = true; // what is in the page is not where it belongs until it is drawn
  #stopped = false; // by its button, so that scrolling to the end does not go on

  focus() {
    this.scroller.focus();
  }

  destroy() {
    this.#resized.disconnect();
    this.#unlisten();
    this.marks.destroy();
    this.#list.destroy();
  }

  /** Show other lines, as LineView.setFilter has it, or more of them; what is at the top stays there. Throws
   * SyntaxError. */
  filter(filter = this.#filter) {
    if (!this.following) this.#anchor ??= this.#held;
    this.#filter = filter;
    this.#due = true;
    this.view.setFilter({ ...filter, wrap: this.#look.wrap });
    this.paint();
  }

  /** Lines look otherwise: {times, numbers, wrap}. */
  show(look) {
    this.#look = look;
    this.#measure(true);
  }

  /** Draw the rows again that are in sight: something about them has changed. */
  redraw() {
    this.view.version += 1;
    this.paint();
  }

  /** Lines were put in front, or took the place of others. */
  reload() {
    if (this.view.frozen) this.view.freeze(true);
    this.marks.reset();
    this.filter();
  }

  /** There are more lines, and from this number on others than there were. */
  changed(from = Infinity) {
    this.#stale = Math.min(this.#stale, from);
    this.#refresh();
    this.paint();
  }

  #refresh() {
    if (this.view.frozen || this.#stale === Infinity) return;
    this.view.rescan(this.#stale);
    this.marks.rescan(this.#stale);
    this.#stale = Infinity;
  }

  /** Hold still, or go on at the end. */
  follow(on) {
    this.#stopped = !on;
    if (on) this.toEnd({ focus: false });
    else this.#leave();
  }

  /** How many lines came since it was held still. */
  get behind() {
    return this.view.frozen ? this.view.behind : 0;
  }

  /** The number of the line at the top. */
  get top() {
    return this.#held?.number ?? -1;
  }

  async toEnd({ focus = true } = {}) {
    await this.#options.toEnd?.();
    this.#anchor = null;
    this.pick.clear();
    this.#stopped = false;
    this.#arrive();
    if (focus) this.focus();
  }

  /** Go to a line, which keys then act on; `more`: those up to it are picked as well. */
  goTo(number, { middle = true, more = false } = {}) {
    this.#leave();
    this.#anchor = null;
    this.#due = true;
    this.pick.pick(number, more);
    this.#goal = { number, middle };
    this.paint();
  }

  /** Fold or unfold a line, or with `path` a part of its JSON. */
  toggle(number, path) {
    this.#leave();
    this.view.toggle(number, path);
    this.paint();
  }

  /** Do something once all lines have been looked at. */
  whenLooked(act) {
    this.#then = act;
    this.paint();
  }

  #listen() {
    const { scroller } = this;
    scroller.addEventListener("scroll", () => this.#scrolled());
    scroller.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && scroller.scrollTop > 0 && this.#leave(), { passive: true });
    document.addEventListener("selectionchange", this.#selected);
  }

  #unlisten() {
    document.removeEventListener("selectionchange", this.#selected);
  }

  // What is being marked must not run away.
  #selected = () => {
    const { anchorNode, isCollapsed } = getSelection();
    if (this.following && !isCollapsed && this.scroller.contains(anchorNode)) this.#leave();
  };

  #scrollTo(share) {
    this.#leave();
    this.scroller.scrollTop = share * this.scroller.scrollHeight - this.scroller.clientHeight / 2;
  }

  #leave() {
    if (!this.following && this.view.frozen) return;
    this.following = false;
    if (this.#log.freeze) this.view.freeze(true);
    this.paint();
  }

  #arrive() {
    this.following = true;
    if (this.view.frozen) this.view.freeze(false);
    this.#refresh();
    this.paint();
  }

  // Who scrolls up leaves the end; a box that becomes smaller does not.
  #scrolled() {
    const { scrollTop } = this.scroller;
    if (this.#list.atEnd) {
      if (!this.following && !this.#stopped && !this.#log.hasLater && !this.#due) this.#arrive();
    } else if (scrollTop < this.#lastTop) this.#leave();
    this.#lastTop = scrollTop;
    if (!this.#due) this.#hold();
    this.#showEnd();
    this.#lookAround();
  }

  #hold() {
    const index = Math.min(Math.ceil(this.scroller.scrollTop / ROW), this.view.count - 1);
    this.#held = index < 0 ? null : { number: this.view.row(index).number, offset: index * ROW - this.scroller.scrollTop };
  }

  // Whether an edge is near: not while it is not yet drawn what is where, or lines would be asked for that nobody sees.
  #lookAround() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    if (this.#due || !clientHeight || !this.#options.near) return;
    if (scrollTop < NEAR * ROW) this.#options.near(-1);
    if (scrollHeight - clientHeight - scrollTop < NEAR * ROW) this.#options.near(1);
  }

  // How wide a row is has changed, perhaps.
  #measure(again = false) {
    const changed = this.#ruler.measure({ ...this.#look, who: Boolean(this.#options.who) });
    if (again || (changed && this.#look.wrap)) this.filter();
    else this.paint();
  }

  #draw() {
    const { more, removed } = this.view.update();
    const later = this.marks.update();
    if (this.#ruler.widen(this.view.source)) this.#measure();
    this.#list.setCount(this.view.count);
    showPartials(this.#partials, this.view.partials, { pattern: this.view.pattern, ...this.#look });
    if (this.following) {
      this.#list.toEnd();
      this.#lastTop = this.scroller.scrollTop;
    } else if (this.#anchor) {
      this.scroller.scrollTop = this.view.indexOf(this.#anchor.number) * ROW - this.#anchor.offset;
      this.#lastTop = this.scroller.scrollTop;
      if (!more) this.#anchor = null;
    } else if (removed) this.scroller.scrollTop -= removed * ROW;
    if (!more) this.#then?.();
    if (this.#goal) {
      this.#list.reveal(this.view.indexOf(this.#goal.number), this.#goal);
      this.#lastTop = this.scroller.scrollTop;
    }
    if (!more) [this.#then, this.#goal] = [null, null];
    this.#list.paintNow();
    if (!this.#anchor) this.#hold();
    this.#due = more;
    this.marks.draw(this.#options.hits?.() ?? this.view.matches);
    this.#options.drawn?.({ more });
    this.#showEnd();
    if (more || later) this.paint();
  }

  #showEnd() {
    const { behind } = this;
    this.#end.show(!this.following && !(this.#list.atEnd && !behind && !this.#log.hasLater), behind);
  }

  #show(row, index) {
    const what = this.view.row(index);
    if (!what?.line) return; // other lines took their place, and are drawn in the next frame
    const key = `${what.number} ${index} ${this.view.version}`;
    if (row.shown !== key) {
      row.shown = key;
      const { number, line } = what;
      const fold = !this.view.canUnfold(line) ? "" : this.view.isUnfolded(number) ? "open" : "closed";
      showRow(row, what, { pattern: this.view.pattern, columns: this.view.columns, ...this.#look, fold, who: this.#options.who });
      row.classList.toggle("hit", !what.sub && this.#isHit(number, line));
    }
    const picked = what.sub ? "" : this.pick.has(what.number);
    row.classList.toggle("current", picked === "current");
    row.classList.toggle("picked", picked === "picked");
  }

  #isHit(number, line) {
    return this.#options.marked?.(line) ?? (!this.#filter.only && this.view.placeOf(number) > 0);
  }

  /** The number of the line that one is at. */
  get here() {
    if (this.pick.cursor >= 0) return this.pick.cursor;
    return this.following ? this.view.source.end : this.top - 1;
  }
}
