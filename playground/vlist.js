// A list of any length of which only the visible part is in the page. Rows have one height; those that leave
// on one side are used again on the other.

import { h, inFrame } from "./dom.js";

const EXTRA = 6; // rows beyond both edges

export class VirtualList {
  /**
   * @param scroller the element that scrolls; its content becomes ours.
   * @param make makes an empty row.
   * @param show (row, index): fills a row; called for visible rows at each refresh.
   */
  constructor(scroller, { rowHeight, make, show }) {
    this.scroller = scroller;
    this.rowHeight = rowHeight;
    this.count = 0;
    this.#make = make;
    this.#show = show;
    this.#window = h("div.v-window", { role: "presentation" });
    this.#space = h("div.v-space", { role: "presentation" }, this.#window);
    scroller.append(this.#space);
    this.refresh = inFrame(() => this.#paint());
    scroller.addEventListener("scroll", this.refresh, { passive: true });
    this.#observer = new ResizeObserver(this.refresh);
    this.#observer.observe(scroller);
  }

  #make;
  #show;
  #space;
  #window;
  #observer;
  #rows = []; // those in the page, the first one shows index #from
  #from = 0;
  #height = -1;

  /** To be called before refresh, or within a paint of one's own that calls paintNow. */
  setCount(count) {
    this.count = count;
    const height = count * this.rowHeight;
    if (height !== this.#height) {
      this.#height = height;
      this.#space.style.height = `${height}px`;
    }
  }

  /** Show what there is now; only from within an animation frame. */
  paintNow() {
    this.#paint();
  }

  get atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    return scrollTop + clientHeight >= scrollHeight - this.rowHeight;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Scroll as little as is needed to see a row; `middle`: to the middle unless it is in sight. */
  reveal(index, { middle = false } = {}) {
    const top = index * this.rowHeight;
    const { scrollTop, clientHeight } = this.scroller;
    if (top >= scrollTop && top + this.rowHeight <= scrollTop + clientHeight) return;
    if (middle) this.scroller.scrollTop = top - clientHeight / 2;
    else if (top < scrollTop) this.scroller.scrollTop = top;
    else this.scroller.scrollTop = top + this.rowHeight - clientHeight;
  }

  /** How many rows fit. */
  get page() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
  }

  /** The index of a row's element, or -1. */
  indexOf(row) {
    const place = this.#rows.indexOf(row);
    return place < 0 ? -1 : this.#from + place;
  }

  destroy() {
    this.#observer.disconnect();
    this.scroller.removeEventListener("scroll", this.refresh);
  }

  #paint() {
    const { scrollTop, clientHeight } = this.scroller;
    if (!clientHeight) return; // not to be seen
    const from = Math.max(0, Math.min(Math.floor(scrollTop / this.rowHeight) - EXTRA, this.count));
    const to = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + EXTRA);
    this.#turn(from);
    const wanted = Math.max(0, to - from);
    while (this.#rows.length > wanted) this.#rows.pop().remove();
    while (this.#rows.length < wanted) {
      const row = this.#make();
      this.#rows.push(row);
      this.#window.append(row);
    }
    this.#window.style.transform = `translateY(${from * this.rowHeight}px)`;
    for (let place = 0; place < this.#rows.length; place += 1) this.#show(this.#rows[place], from + place);
  }

  // Move rows from one end to the other, so that those which stay in sight stay as they are.
  #turn(from) {
    const shift = from - this.#from;
    this.#from = from;
    if (Math.abs(shift) >= this.#rows.length) return;
    if (shift > 0) {
      const moved = this.#rows.splice(0, shift);
      this.#rows.push(...moved);
      this.#window.append(...moved);
    } else if (shift < 0) {
      const moved = this.#rows.splice(shift);
      this.#rows.unshift(...moved);
      this.#window.prepend(...moved);
    }
  }
}
