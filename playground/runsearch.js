// Searching all of a run's output: what is found, which of it one is at, and the way to the next.

import { Finder } from "./logsearch.js";

export class RunSearch {
  /** `page`: a RunPage; `bar`: its SearchBar. */
  constructor(link, page, bar) {
    this.#page = page;
    this.#bar = bar;
    this.#finder = new Finder(link, page.run, () => this.#found());
  }

  #page;
  #bar;
  #finder;

  /** The seqs of the lines that were found, in order. */
  get seqs() {
    return this.#finder.seqs;
  }

  has(seq) {
    return this.#finder.has(seq);
  }

  find() {
    this.#finder.find(this.#bar.wanted);
  }

  end() {
    this.#finder.find({ text: "" });
  }

  /** Go to the next one after a seq, or the one before. */
  async next(backwards, from = this.#here) {
    const seq = this.#finder.next(from, backwards);
    if (!seq) return;
    await this.#page.goTo(seq);
    this.show();
  }

  /** Say how many there are, and which of them one is at. */
  show() {
    this.#bar.showFound(this.#bar.wanted.text ? this.#finder.words(this.#here) : "", Boolean(this.#finder.problem));
  }

  // More was found, or all was.
  #found() {
    const { box } = this.#page;
    if (!box) return;
    const { busy, seqs, problem } = this.#finder;
    box.redraw();
    this.show();
    const here = this.#here;
    if (!problem && !busy && seqs.length && !this.has(here)) this.next(false, box.pick.cursor < 0 ? 0 : here - 1);
  }

  // The seq that one is at.
  get #here() {
    const { box, lines } = this.#page;
    const { pick, top } = box;
    return lines.line(pick.cursor >= lines.first && pick.cursor < lines.end ? pick.cursor : top)?.seq ?? 0;
  }
}
