// What a person does in a box of lines, with pointer and keys: pick, unfold, step, look for the next.

export class LineHands {
  /** `list`: the box's VirtualList; `options`: the box's. */
  constructor(box, list, options) {
    this.#box = box;
    this.#list = list;
    this.#options = options;
    box.scroller.addEventListener("click", (event) => this.#clicked(event));
    for (const event of ["pointerover", "pointerdown"]) box.scroller.addEventListener(event, ({ target }) => this.#address(target));
    box.scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  #box;
  #list;
  #options;

  /** Go to a match: `step` 1 for the next, -1 for the one before, 0 for the one that is nearest to what is seen. */
  find(step) {
    const box = this.#box;
    box.whenLooked(() => {
      const { here, view, following } = box;
      let number = here;
      if (step) number = view.find(here, step < 0);
      else if (!view.placeOf(here)) number = view.find(here, following);
      if (number >= 0) this.#go(number, { middle: true });
    });
  }

  /** Go to the next error, or the one before; whether there is one. */
  error(backwards) {
    const number = this.#box.marks.next(this.#box.here, backwards);
    if (number >= 0) this.#go(number, { middle: true });
    return number >= 0;
  }

  #go(number, how) {
    this.#box.goTo(number, how);
    this.#options.chosen?.(this.#box.view.source.line(number), number);
  }

  // A line's number leads to it, like any link: to be copied, or opened elsewhere.
  #address(target) {
    const link = target.closest?.(".number");
    const index = link?.dataset.number ? this.#list.indexOf(link.closest(".line")) : -1;
    if (index < 0) return;
    const { view } = this.#box;
    const { number, line } = view.row(index);
    link.href = this.#options.link(line, number);
    link.title = `Line ${line.seq}: its address`;
  }

  #clicked(event) {
    const { target, shiftKey } = event;
    const { view, scroller, pick } = this.#box;
    const marked = getSelection();
    if (target.closest(".address") || event.ctrlKey || event.metaKey) return; // leads elsewhere
    const row = target.closest(".line");
    const index = row ? this.#list.indexOf(row) : -1;
    if (index < 0) return;
    const byNumber = target.closest(".number") !== null;
    if (byNumber) event.preventDefault(); // its line is here
    else if (!marked.isCollapsed && scroller.contains(marked.anchorNode)) return; // text is being selected
    const { number, sub } = view.row(index);
    if (sub?.kind === "fold") this.#box.toggle(number, sub.path);
    if (sub) return;
    if (shiftKey) marked.removeAllRanges();
    if (byNumber || shiftKey) {
      this.#go(number, { middle: false, more: shiftKey });
      scroller.focus({ preventScroll: true });
    } else {
      pick.pick(number); // lines go on, if they do
      this.#options.chosen?.(view.source.line(number), number);
      this.#box.paint();
    }
    if (target.closest(".fold")) this.#box.toggle(number);
  }

  #step(by, more) {
    const { view, pick: { cursor } } = this.#box;
    if (!view.count) return;
    const last = view.count - 1;
    const from = cursor < 0 ? last + 1 : view.indexOf(cursor);
    let index = Math.max(0, Math.min(last, from + by));
    // The rows of an unfolded or broken line are stepped over.
    const within = () => view.row(index).sub || view.row(index).part;
    while (index > 0 && index < last && within()) index += Math.sign(by);
    this.#go(view.row(index).number, { middle: false, more });
  }

  #key(event) {
    const { scroller, pick: { cursor } } = this.#box;
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== scroller) return;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: this.#list.page, PageUp: -this.#list.page };
    const acts = {
      End: () => this.#box.toEnd(),
      Home: () => this.#step(-Infinity),
      Enter: () => cursor >= 0 && this.#box.toggle(cursor),
      e: () => this.error(false),
      E: () => this.error(true),
      ...this.#options.keys,
    };
    const act = event.key in steps ? () => this.#step(steps[event.key], event.shiftKey) : acts[event.key];
    if (!act || act() === false) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
