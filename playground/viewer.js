// The output of one task: a head with its state, tools to search and filter, and the lines.

import { download, h, setIcon, setText } from "./dom.js";
import { count } from "./format.js";
import { Earlier } from "./earlier.js";
import { LinesPane } from "./linespane.js";
import { LineSeeker } from "./lineseeker.js";
import { lineAddress, timeAddress } from "./lineaddress.js";
import { nameById } from "./names.js";
import { buildPane } from "./pane.js";
import { settle } from "./router.js";
import { saveLog } from "./runfetch.js";
import { STATES, exitText, isOver, isUnhealthy, wordOf } from "./states.js";
import { showButtons } from "./taskactions.js";

const QUIET = new Set(["errored", "lost"]); // until somebody resets it

/** Whether lines of a task may come without anybody's doing. */
export const mayWrite = (task) => task !== undefined && !isOver(task.status) && !QUIET.has(task.status);

export class Viewer {
  /** `app`: link, store, watch; `acts`: close and grow, called by its buttons. */
  constructor(app, taskId, acts) {
    this.taskId = taskId;
    this.#app = app;
    this.#log = app.watch.follow(taskId);
    const act = (title, text) => h("button", { type: "button", hidden: true, title }, text);
    const earlier = act("Load lines of the log", "Earlier lines");
    this.#whole = act("Search all of its log, not only the lines that are loaded", "Search its log");
    this.#lines = new LinesPane(this.#log, {
      label: `Lines of ${taskId}`,
      file: `${taskId}.log`,
      more: [earlier, this.#whole],
      link: ({ seq }) => lineAddress(taskId, seq),
      chosen: ({ seq }) => seq > 0 && settle(lineAddress(taskId, seq)),
      near: () => this.#earlier.load(),
      jump: (time) => (settle(timeAddress(taskId, time)), this.goToTime(time)),
      state: () => this.#state,
      size: () => (this.#log.missed ? `, ${count(this.#log.missed)} not shown` : ""),
      drawn: () => this.#drawn(),
      keys: { m: acts.grow },
    });
    const { box, tools } = this.#lines;
    const { element, parts } = buildPane(app, taskId, tools.element, box.element, () => this.focus());
    this.element = element;
    this.#parts = parts;
    this.#earlier = new Earlier(earlier, app, taskId, () => {
      box.follow(false); // what is at the top stays there
      box.reload();
    });
    this.#seeker = new LineSeeker(app, taskId, this.#log, box);
    const ends = [app.watch.listen(taskId, box.paint), app.watch.listen(taskId, () => this.#seeker.look())];
    this.#unlisten = () => ends.forEach((end) => end());
    parts.close.addEventListener("click", acts.close);
    parts.size.addEventListener("click", acts.grow);
    parts.save.addEventListener("click", () => this.#save());
    this.#whole.addEventListener("click", () => app.views.history.search(tools.search.wanted, taskId));
    this.showTask();
  }

  #app;
  #log;
  #lines;
  #unlisten;
  #parts;
  #whole;
  #earlier;
  #seeker;

  focus() {
    this.#lines.box.focus();
  }

  focusSearch() {
    this.#lines.tools.search.focus();
  }

  /** Show a line, wherever it is: here, in the log, or in its run. */
  goToLine(seq) {
    this.#seeker.goTo(seq);
  }

  /** Show the first line from a time on, once lines are there. */
  goToTime(time) {
    this.#seeker.goToTime(time);
  }

  /** It has all the room there is, or not. */
  showGrown(on) {
    const { size } = this.#parts;
    setIcon(size.firstChild, on ? "shrink" : "grow");
    size.title = `${on ? "All outputs" : "Only this output"} (M)`;
    size.setAttribute("aria-label", on ? "All outputs" : "Only this output");
    size.setAttribute("aria-pressed", String(on));
  }

  destroy() {
    this.#unlisten();
    this.#lines.destroy();
    this.element.remove();
  }

  /** Show the task's current state. */
  showTask() {
    const task = this.#task;
    const { state, word, name, exit, banner, buttons, input } = this.#parts;
    const status = task?.status ?? "unknown";
    setIcon(state.firstChild, STATES[status]?.icon ?? "dots");
    setText(word, task ? wordOf(task) : "Unknown");
    state.className = `state s-${status}`;
    const sick = task !== undefined && isUnhealthy(task);
    exit.classList.toggle("mark", sick);
    setText(exit, sick ? "unhealthy" : task && status !== "running" ? exitText(task, this.#app.watch.signal(this.taskId)) : "");
    setText(name, nameById(this.#app.store, this.taskId));
    const reason = task?.error_message ?? "";
    banner.hidden = !reason;
    setText(banner.lastChild, reason);
    input.showTask(task);
    showButtons(buttons, this.#app, task);
    this.#lines.box.paint();
  }

  get #task() {
    return this.#app.store.tasks.get(this.taskId);
  }

  // Whether lines may come.
  get #state() {
    if (!this.#app.link.connected) return "offline";
    return mayWrite(this.#task) ? "live" : "over";
  }

  // All of it, from the server where that has logs.
  #save() {
    if (this.#app.watch.logged && this.#app.link.connected) saveLog(`tasks/${encodeURIComponent(this.taskId)}`, `${this.taskId}.log`);
    else download(`${this.taskId}.log`, this.#log.text());
  }

  #drawn() {
    this.#earlier.update(this.#log);
    this.#whole.hidden = !this.#lines.tools.search.wanted.text || !this.#earlier.any;
  }
}
