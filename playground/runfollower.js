// A run that goes on: its lines as they come, its end, and the run after it.

import { fill, h } from "./dom.js";
import { findRun } from "./runfetch.js";
import { notesOf, runAddress } from "./runwords.js";

const AGAIN = 1000; // ms between two looks at a run that goes on
const FAR = 5000; // lines: who follows the end and is further behind goes there at once

export class RunFollower {
  /** `page`: a RunPage, whose run, lines and box it keeps up to date. */
  constructor(app, page) {
    this.#app = app;
    this.#page = page;
    app.store.on("tasks", () => this.#lookForNewer());
  }

  /** Says that there is a newer run. */
  element = h("p.newer", { role: "status", hidden: true });
  #app;
  #page;
  #timer = 0;
  #looking = false; // for a newer run

  /** Follow the run that is shown now. */
  begin() {
    this.#tick();
    this.#lookForNewer();
  }

  end() {
    clearTimeout(this.#timer);
    this.element.hidden = true;
  }

  /** The run before (-1) or after (1) the one that is shown. */
  beside(by) {
    const { number, task_id: taskId } = this.#page.run;
    return findRun(this.#app.link, taskId, (run) => run.number === number + by);
  }

  #tick() {
    clearTimeout(this.#timer);
    if (this.#page.run?.status !== "running") return;
    this.#timer = setTimeout(async () => {
      if (!document.hidden && this.#seen && this.#app.link.connected) await this.#follow();
      this.#tick();
    }, AGAIN);
  }

  get #seen() {
    return this.#page.shown && this.#app.view === "history";
  }

  async #follow() {
    const page = this.#page;
    const { lines, box } = page;
    const { run_id: mine, task_id: taskId } = page.run;
    const run = await page.read(() => findRun(this.#app.link, taskId, ({ run_id: id }) => id === mine));
    if (!run || lines !== page.lines) return;
    await page.read(() => lines.look());
    if (lines !== page.lines) return;
    lines.update(run, notesOf(run).foot);
    if (box.following) {
      if (lines.left > FAR) await page.read(() => lines.loadEnd());
      while (lines.hasLater && lines === page.lines && (await page.read(() => lines.loadLater())));
      if (lines !== page.lines) return;
    }
    page.update(run);
    if (run.status !== "running") this.#lookForNewer();
  }

  // The task was started again: who follows the end goes on there, others are told.
  async #lookForNewer() {
    const page = this.#page;
    const { run, box } = page;
    if (!run || !box || run.status === "running" || this.#looking || !this.#seen || !this.element.hidden) return;
    if (this.#app.store.tasks.get(run.task_id)?.status !== "running") return;
    this.#looking = true;
    const newer = await findRun(this.#app.link, run.task_id, ({ status }) => status === "running").catch(() => undefined);
    this.#looking = false;
    if (!newer || run !== page.run || newer.number <= run.number) return;
    if (newer.number === run.number + 1 && box.following && page.followed) page.goOn(newer);
    else {
      this.element.hidden = false;
      fill(this.element, h("span", null, `Run #${newer.number} goes on.`), h("a", { href: runAddress(newer) }, "Go to it"));
    }
  }
}
