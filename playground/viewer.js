// The output of one task: a head with its state, tools to search and filter, and the lines.

import { download, flip, isPressed, setIcon, setText } from "./dom.js";
import { count, many } from "./format.js";
import { buildPane } from "./pane.js";
import { LinesBox } from "./linesbox.js";
import { wantedOf } from "./lineview.js";
import { STATES, exitText, isUnhealthy, wordOf } from "./states.js";
import { recall, remember } from "./prefs.js";
import { Earlier } from "./earlier.js";
import { showButtons } from "./taskactions.js";

export class Viewer {
  /** `app`: link, store, watch; `close`: called by the close button. */
  constructor(app, taskId, close) {
    this.taskId = taskId;
    this.#app = app;
    this.#log = app.watch.follow(taskId);
    this.#times = recall("times", false);
    this.#box = new LinesBox(this.#log, {
      label: `Lines of ${taskId}`,
      times: this.#times,
      drawn: (now) => this.#drawn(now),
      near: (edge) => edge < 0 && this.#loadEarlier(),
      toEnd: () => this.#box.view.paused && this.#parts.pause.click(),
      keys: {
        p: () => this.#parts.pause.click(),
        t: () => this.#parts.time.click(),
        "/": () => this.focusSearch(),
        n: () => this.#next(false),
        N: () => this.#next(true),
      },
    });
    const { element, parts } = buildPane(app, taskId, this.#box.element, this.#times, () => this.focus());
    this.element = element;
    this.#parts = parts;
    this.#earlier = new Earlier(parts.earlier, app, taskId, () => {
      this.#box.following = false; // what is at the top stays there
      this.#refilter();
    });
    this.#unlisten = app.watch.listen(taskId, this.#box.paint);
    this.#listen(close);
    this.showTask();
  }

  #app;
  #log;
  #box;
  #unlisten;
  #times;
  #parts;
  #earlier;

  focus() {
    this.#box.focus();
  }

  focusSearch() {
    this.#parts.search.focus();
  }

  destroy() {
    this.#unlisten();
    this.#box.destroy();
    this.element.remove();
  }

  /** Show the task's current state. */
  showTask() {
    const task = this.#app.store.tasks.get(this.taskId);
    const { state, word, exit, action, banner, buttons, input } = this.#parts;
    const status = task?.status ?? "unknown";
    setIcon(state.firstChild, STATES[status]?.icon ?? "dots");
    setText(word, task ? wordOf(task) : "Unknown");
    state.className = `state s-${status}`;
    const sick = task !== undefined && isUnhealthy(task);
    exit.classList.toggle("mark", sick);
    setText(exit, sick ? "unhealthy" : task && status !== "running" ? exitText(task, this.#app.watch.signal(this.taskId)) : "");
    setText(action, task?.action ?? "");
    const reason = task?.error_message ?? "";
    banner.hidden = !reason;
    setText(banner.lastChild, reason);
    input.showTask(task);
    showButtons(buttons, this.#app, task);
  }

  #listen(close) {
    const { search, only, out, err, time, pause, whole } = this.#parts;
    this.#parts.close.addEventListener("click", close);
    this.#parts.copy.addEventListener("click", () => this.#box.copy());
    this.#parts.save.addEventListener("click", () =>
      download(`${this.taskId}.log`, this.#box.view.text({ raw: true })),
    );
    whole.addEventListener("click", () => this.#app.views.history.search(wantedOf(search.value), this.taskId));
    search.addEventListener("input", () => this.#refilter());
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#box.next(event.shiftKey);
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
      this.#box.showTimes(this.#times);
    });
    pause.addEventListener("click", () => this.#pause(flip(pause)));
  }

  #refilter() {
    const { search, found, only, out, err } = this.#parts;
    only.hidden = !search.value;
    try {
      const [hide, withOut, withErr] = [only, out, err].map(isPressed);
      this.#box.filter({ text: search.value, only: hide, out: withOut, err: withErr });
      search.removeAttribute("aria-invalid");
    } catch {
      search.setAttribute("aria-invalid", "true");
      setText(found, "no valid expression");
    }
  }

  // At the top of all lines; of those that a filter has left, the top is always near.
  #loadEarlier() {
    const { search, out, err } = this.#parts;
    if (!this.#box.following && !search.value && isPressed(out) && isPressed(err)) this.#earlier.load();
  }

  #pause(on) {
    setIcon(this.#parts.pause.firstChild, on ? "run" : "pause");
    setText(this.#parts.pause.lastChild, on ? "go on" : "pause");
    this.#box.pause(on);
  }

  #drawn({ more }) {
    const { found, search, size, whole } = this.#parts;
    setText(found, search.value ? `${count(this.#box.view.matchCount)}${more ? "…" : ""} found` : "");
    const missed = this.#log.missed ? `, ${count(this.#log.missed)} not shown` : "";
    setText(size, many(this.#log.length, "line") + missed);
    this.#earlier.update(this.#log);
    whole.hidden = !search.value || !this.#earlier.any;
  }

  #next(backwards) {
    if (!this.#parts.search.value) return false;
    this.#box.next(backwards);
    return true;
  }
}
