// The outputs that are open, side by side below the table.

import { h } from "./dom.js";
import { recall, remember } from "./prefs.js";
import { Viewer } from "./viewer.js";
import { say } from "./notices.js";

const MOST = 6;

export class Panes {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    app.store.on("tasks", () => this.showTasks());
    app.link.on("status", () => this.showTasks());
  }

  #app;
  #place;
  #viewers = new Map(); // task id -> Viewer
  #listeners = [];

  /** Hear of outputs that open and close. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  get size() {
    return this.#viewers.size;
  }

  has(taskId) {
    return this.#viewers.has(taskId);
  }

  /** Show a task's output; the oldest one goes when there would be too many. */
  open(taskId, { focus = false } = {}) {
    if (!this.#viewers.has(taskId)) {
      if (this.#viewers.size >= MOST) {
        this.close(this.#viewers.keys().next().value);
        say(`At most ${MOST} outputs at once: the oldest was closed`);
      }
      const viewer = new Viewer(this.#app, taskId, () => this.close(taskId));
      this.#viewers.set(taskId, viewer);
      this.#place.append(viewer.element);
      this.#changed();
    }
    const viewer = this.#viewers.get(taskId);
    viewer.element.scrollIntoView({ inline: "nearest", block: "nearest" });
    if (focus) viewer.focus();
  }

  close(taskId) {
    const viewer = this.#viewers.get(taskId);
    if (!viewer) return;
    const hadFocus = viewer.element.contains(document.activeElement);
    this.#viewers.delete(taskId);
    viewer.destroy();
    this.#app.watch.drop(taskId);
    this.#changed();
    if (hadFocus) this.#app.focusView();
  }

  toggle(taskId) {
    if (this.has(taskId)) this.close(taskId);
    else this.open(taskId);
  }

  closeAll() {
    for (const taskId of [...this.#viewers.keys()]) this.close(taskId);
  }

  /** The viewer that has the focus, if one has. */
  get focused() {
    for (const viewer of this.#viewers.values()) if (viewer.element.contains(document.activeElement)) return viewer;
    return null;
  }

  /** Move the focus to the next viewer, round and round; with none left, false. */
  focusNext() {
    const all = [...this.#viewers.values()];
    const next = all[all.indexOf(this.focused) + 1];
    next?.focus();
    return next !== undefined;
  }

  /** Open what was open when the page was left. */
  restore() {
    for (const taskId of recall("panes", [], { visit: true })) if (typeof taskId === "string") this.open(taskId);
  }

  showTasks() {
    for (const viewer of this.#viewers.values()) viewer.showTask();
  }

  #changed() {
    remember("panes", [...this.#viewers.keys()], { visit: true });
    for (const listener of this.#listeners) listener();
  }
}

/** The bar between table and outputs: drag it, or move it with the arrow keys. */
export function splitter(frame) {
  const set = (share) => {
    const percent = Math.round(Math.max(15, Math.min(85, share)));
    frame.style.setProperty("--dock", `${percent}%`);
    bar.setAttribute("aria-valuenow", String(percent));
    remember("dock", percent);
  };
  const bar = h("div.splitter", {
    role: "separator",
    tabindex: "0",
    "aria-orientation": "horizontal",
    "aria-label": "Height of the outputs",
    "aria-valuemin": "15",
    "aria-valuemax": "85",
  });
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    bar.onpointermove = ({ clientY }) => {
      const { bottom, height } = frame.getBoundingClientRect();
      set(((bottom - clientY) / height) * 100);
    };
  });
  bar.addEventListener("pointerup", () => (bar.onpointermove = null));
  bar.addEventListener("keydown", ({ key }) => {
    const by = { ArrowUp: 5, ArrowDown: -5 }[key];
    if (by) set(Number(bar.getAttribute("aria-valuenow")) + by);
  });
  set(recall("dock", 52));
  return bar;
}
