// The outputs that are open, below the table: side by side, one below the other, or all in one; any of them alone.

import { fill, h, iconButton, named } from "./dom.js";
import { addressedPlace } from "./lineaddress.js";
import { Merged } from "./merged.js";
import { nameById, shortId, titleOf } from "./names.js";
import { say } from "./notices.js";
import { onRoute } from "./router.js";
import { recall, remember } from "./prefs.js";
import { Viewer } from "./viewer.js";
import { narrow } from "./narrow.js";

const MOST = 6;
const LAYOUTS = [
  ["columns", "columns", "Side by side"],
  ["stack", "rows", "One below the other"],
  ["together", "merge", "Together, in the order of time"],
];

export class Panes {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    const choose = ([name, sign, about]) => iconButton(sign, about, () => this.#arrange(name), { kind: "layout" });
    this.#choices = LAYOUTS.map(choose);
    const bar = h("div.pane-bar", { role: "toolbar", "aria-label": "Outputs" }, this.#tabs, h("span.layouts", null, this.#choices));
    fill(place, bar, this.#list);
    app.store.on("tasks", () => this.showTasks());
    app.link.on("status", () => this.showTasks());
    onRoute((to) => {
      if (narrow.matches) this.#leave(addressedPlace(to)?.taskId);
      this.#openAddressed(to);
    });
  }

  #app;
  #place;
  #viewers = new Map(); // task id -> Viewer
  #listeners = new Set();
  #layout = recall("layout", "columns");
  #grown = ""; // the task whose output is shown alone
  #passing = new Set(); // tasks whose outputs were opened on the way, by a notice or a start
  #merged = null;
  #choices;
  #tabs = h("span.pane-tabs");
  #list = h("div.pane-list");

  /** Hear of outputs that open and close. Returns what ends that. */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get size() {
    return this.#viewers.size;
  }

  has(taskId) {
    return this.#viewers.has(taskId);
  }

  /** Show a task's output, at a line of it or at a time if one is given; the oldest goes when there would be too many.
   * `passing`: it is opened on the way; `instead`: in the place of all that were, for nobody asked for both. */
  open(taskId, { focus = false, line = 0, at = "", instead = false, passing = instead } = {}) {
    if (!passing) this.#passing.delete(taskId);
    if (!this.#viewers.has(taskId)) {
      if (instead) this.#closeAll(this.#passing);
      if (passing) this.#passing.add(taskId);
      if (this.#viewers.size >= MOST) {
        this.close(this.#viewers.keys().next().value);
        say(`At most ${MOST} outputs at once: the oldest was closed`);
      }
      const viewer = new Viewer(this.#app, taskId, { close: () => this.close(taskId), grow: () => this.#grow(taskId) });
      this.#viewers.set(taskId, viewer);
      this.#list.append(viewer.element);
      if (this.#grown) this.#grown = taskId;
      this.#changed();
    }
    const viewer = this.#viewers.get(taskId);
    viewer.element.scrollIntoView({ inline: "nearest", block: "nearest" });
    if (line) viewer.goToLine(line);
    else if (at) viewer.goToTime(at);
    if (focus) viewer.focus();
  }

  close(taskId) {
    const viewer = this.#viewers.get(taskId);
    if (!viewer) return;
    const hadFocus = viewer.element.contains(document.activeElement);
    this.#viewers.delete(taskId);
    this.#passing.delete(taskId);
    viewer.destroy();
    this.#app.watch.drop(taskId);
    if (this.#grown === taskId) this.#grown = "";
    this.#changed();
    if (hadFocus) this.#app.focusView();
  }

  /** Another action's form is shown: what was opened on the way is not about it. */
  endPassing(action) {
    const { tasks } = this.#app.store;
    this.#closeAll([...this.#passing].filter((id) => tasks.get(id)?.action !== action));
  }

  toggle(taskId) {
    if (this.has(taskId)) this.close(taskId);
    else this.open(taskId);
  }

  closeAll() {
    this.#leave();
  }

  // Where it is narrow, an output covers its view, and going anywhere leaves it.
  #leave(but = "") {
    this.#grown = "";
    this.#closeAll([...this.#viewers.keys()].filter((taskId) => taskId !== but));
  }

  #closeAll(taskIds) {
    for (const taskId of [...taskIds]) this.close(taskId);
  }

  /** The viewer that has the focus, if one has. */
  get focused() {
    for (const viewer of this.#viewers.values()) if (viewer.element.contains(document.activeElement)) return viewer;
    return null;
  }

  /** Move the focus to the next viewer, round and round; with none left, false. */
  focusNext() {
    const all = this.#merged ? [this.#merged] : [...this.#viewers.values()].filter(({ taskId }) => !this.#grown || taskId === this.#grown);
    const at = all.findIndex(({ element }) => element.contains(document.activeElement));
    const next = all[at + 1];
    next?.focus();
    return next !== undefined;
  }

  /** Open what was open when the page was left, and what the address leads to. */
  restore() {
    for (const taskId of recall("panes", [], { visit: true })) if (typeof taskId === "string") this.open(taskId);
    this.#openAddressed();
  }

  // Open the output that the page's address has a place in, at that place.
  #openAddressed(to) {
    const place = addressedPlace(to);
    if (place) this.open(place.taskId, { ...place, focus: true });
  }

  showTasks() {
    for (const viewer of this.#viewers.values()) viewer.showTask();
    this.#merged?.showTask();
    this.#showTabs();
  }

  #arrange(layout) {
    this.#layout = layout;
    this.#grown = "";
    remember("layout", layout);
    this.#show();
  }

  #grow(taskId) {
    this.#grown = this.#grown ? "" : taskId;
    this.#show();
  }

  #changed() {
    remember("panes", [...this.#viewers.keys()], { visit: true });
    this.#merged?.destroy();
    this.#merged = null;
    this.#show();
    for (const listener of this.#listeners) listener();
  }

  #show() {
    const several = this.#viewers.size > 1;
    const layout = several ? this.#layout : "columns";
    this.#place.dataset.layout = layout;
    this.#place.classList.toggle("several", several);
    document.getElementById("frame").classList.toggle("grown", this.#grown !== "");
    this.#choices.forEach((button, at) => button.setAttribute("aria-pressed", String(LAYOUTS[at][0] === layout)));
    if (layout === "together" && !this.#merged) {
      this.#merged = new Merged(this.#app, [...this.#viewers.keys()].map((id) => ({ id, name: this.#called(id) })), () => this.#grow("together"));
      this.#list.append(this.#merged.element);
    } else if (layout !== "together") {
      this.#merged?.destroy();
      this.#merged = null;
    }
    this.#merged?.showGrown(this.#grown !== "");
    for (const [taskId, viewer] of this.#viewers) {
      viewer.showGrown(taskId === this.#grown);
      viewer.element.hidden = layout === "together" || (this.#grown !== "" && taskId !== this.#grown);
    }
    this.#showTabs();
  }

  // One for each output: leads to it, and says how its task is.
  #showTabs() {
    const key = JSON.stringify([...this.#viewers.keys()].map((id) => [this.#called(id), this.#app.store.tasks.get(id)?.status, this.#grown]));
    if (this.#tabs.shown === key || this.#viewers.size < 2) return;
    this.#tabs.shown = key;
    fill(
      this.#tabs,
      [...this.#viewers.keys()].map((taskId, hue) => {
        const status = this.#app.store.tasks.get(taskId)?.status ?? "unknown";
        const tab = h(`button.pane-tab.hue-${hue}`, { type: "button", title: `${taskId}: ${status}`, "aria-pressed": String(taskId === this.#grown) }, h(`span.dot.state.s-${status}`), named(this.#called(taskId)));
        tab.addEventListener("click", () => this.#pick(taskId));
        return tab;
      }),
    );
  }

  // Its name; or what is short and tells it from another of that name.
  #called(taskId) {
    const { store } = this.#app;
    const nameOf = (id) => nameById(store, id);
    const name = nameOf(taskId);
    const task = store.tasks.get(taskId);
    const alike = task && [...this.#viewers.keys()].some((id) => id !== taskId && nameOf(id) === name);
    return alike ? `${titleOf(store, task.action)} ${shortId(taskId)}` : name;
  }

  #pick(taskId) {
    if (this.#layout === "together") this.#arrange("columns");
    if (this.#grown) this.#grown = taskId;
    this.#show();
    this.open(taskId, { focus: true });
  }
}
