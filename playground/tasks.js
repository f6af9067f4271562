// The table of tasks: live, sorted, filtered, and only as many rows in the page as can be seen. What is filtered, and
// which task is looked at, is in the page's address.

import { fill, h, icon, inFrame } from "./dom.js";
import { StateChips } from "./statechips.js";
import { COLUMNS, NEWEST, searched, sorted } from "./taskcolumns.js";
import { makeRow, showRow } from "./taskrows.js";
import { TaskPicks } from "./taskpicks.js";
import { VirtualList } from "./vlist.js";
import { STATES } from "./states.js";
import { beginning, perform } from "./taskactions.js";
import { Inspector } from "./inspector.js";
import { narrow } from "./narrow.js";
import { recall, remember } from "./prefs.js";
import { addressOf, go, settle } from "./router.js";

const ROW = 38; // px, as .t-row in tasks.css
const NARROW_ROW = 64;
const ACTS = { x: "stop", Delete: "stop", s: "signal" }; // by key

export class Tasks {
  constructor(app, place) {
    this.#app = app;
    this.#sort = recall("sort", NEWEST);
    this.#inspector = new Inspector(app, () => this.#leave());
    const picked = ({ others = false } = {}) => {
      if (others) this.#asked = ""; // wherever the pointer is
      this.#render();
    };
    this.#picks = new TaskPicks(app, picked, () => this.#rows);
    this.#build(place);
    this.#list = new VirtualList(this.#scroller, {
      rowHeight: narrow.matches ? NARROW_ROW : ROW,
      make: makeRow,
      show: (row, at) => this.#show(row, at),
    });
    narrow.addEventListener("change", () => {
      this.#list.rowHeight = narrow.matches ? NARROW_ROW : ROW;
      this.#render();
    });
    this.#render = inFrame(() => this.#draw());
    for (const what of ["tasks", "pools", "actions"]) app.store.on(what, this.#render);
    app.link.on("status", this.#render);
    app.panes.onChange(this.#render);
    setInterval(() => this.#list.refresh(), 1000); // the time ticks
  }

  #app;
  #sort;
  #search = "";
  #only = ""; // a state, "" for all
  #rows = []; // the tasks shown, in order
  #asked = ""; // which, and in what order
  #places = new Map(); // task id -> place in the queue, from 1
  #selected = "";
  #revealed = ""; // the task that an address named, once it was scrolled to
  #list;
  #render = () => undefined;
  #inspector;
  #picks;
  #scroller;
  #input;
  #chips = new StateChips((name) => this.#showOnly(name));
  #heads;
  #order;
  #all;
  #table;
  #empty;

  get restAt() {
    return this.#table;
  }

  /** Where the view is, as it stands. */
  get address() {
    return addressOf("tasks", this.#selected ? [this.#selected] : [], { status: this.#only, q: this.#search });
  }

  /** Called with what the page's address says. */
  shown({ path: [id = ""], fields }) {
    this.#selected = id;
    this.#only = fields.status in STATES ? fields.status : "";
    this.#search = fields.q ?? "";
    if (this.#input.value.trim() !== this.#search) this.#input.value = this.#search;
    this.#revealed = "";
    this.#render();
  }

  focusSearch() {
    this.#input.focus();
    this.#input.select();
  }

  /** Take a task that is over off the list; that can be undone for a moment. */
  forget(taskId) {
    if (this.#selected === taskId) this.#leave();
    this.#picks.forget([taskId]);
  }

  escape() {
    if (this.#picks.clear()) return true;
    if (!this.#selected) return false;
    this.#leave();
    return true;
  }

  #leave() {
    this.#selected = "";
    settle(this.address);
    this.#render();
    this.#table.focus({ preventScroll: true });
  }

  #build(place) {
    this.#input = h("input", { type: "search", placeholder: "Find tasks", "aria-label": "Find tasks by id, action, parameters or error", spellcheck: "false" });
    this.#input.addEventListener("input", () => this.#want({ search: this.#input.value.trim() }));
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") this.#table.focus();
      else if (event.key === "Escape" && this.#input.value) {
        this.#input.value = "";
        this.#want({ search: "" });
        event.stopPropagation();
      } else return;
      event.preventDefault();
    });
    this.#heads = COLUMNS.map(([name, text]) =>
      h(`div.c-${name}`, { role: "columnheader" }, h("button", { type: "button", onclick: () => this.#sortBy(name) }, text, icon("sort"))),
    );
    this.#order = h(
      "select.order",
      { "aria-label": "Order", onchange: () => this.#sortBy(this.#order.value) },
      h("option", { value: NEWEST.by }, "Newest first"),
      COLUMNS.map(([name, text]) => h("option", { value: name }, `By ${text.toLowerCase()}`)),
    );
    this.#all = h("input", { type: "checkbox", "aria-label": "Mark all that are shown", onclick: () => this.#picks.toggleAll() });
    this.#scroller = h("div.t-body", {
      role: "rowgroup",
      tabindex: "-1",
      onclick: (event) => this.#clicked(event),
      ondblclick: (event) => this.#clickedTwice(event),
      onmouseout: (event) => event.target.closest(".c-acts") && this.#render(),
    });
    this.#empty = h("div.empty", { hidden: true });
    const head = h(
      "div.t-head",
      { role: "row" },
      h("div.c-pick", { role: "columnheader" }, this.#all),
      this.#heads,
      h("div.c-acts", { role: "columnheader" }, h("span.offscreen", null, "What you can do")),
    );
    const grid = {
      role: "grid",
      tabindex: "0",
      "aria-label": "Tasks",
      "aria-colcount": COLUMNS.length + 2,
      "aria-multiselectable": "true",
      "aria-keyshortcuts": "Enter Space x r s",
      onkeydown: (event) => this.#key(event),
      onfocus: () => this.#selected || !this.#table.matches(":focus-visible") || this.#select(0),
    };
    this.#table = h("div.table", grid, head, this.#scroller);
    const body = h("div.tasks-body", null, h("div.table-box", null, this.#table, this.#empty), this.#inspector.element);
    fill(place, h("div.bar", null, h("h2.view-title", null, "Tasks"), this.#input, this.#chips.element, this.#order), this.#picks.element, body);
  }

  #want({ search = this.#search, only = this.#only }) {
    this.#search = search;
    this.#only = only;
    settle(this.address);
    this.#render();
  }

  #sortBy(name) {
    const column = COLUMNS.find(([each]) => each === name);
    this.#sort = this.#sort.by === name ? { by: name, down: !this.#sort.down } : { by: name, down: column?.[3] ?? name === NEWEST.by };
    remember("sort", this.#sort);
    this.#render();
  }

  #draw() {
    const { store } = this.#app;
    const { tasks, counts, pools } = store;
    this.#places = new Map((pools.get("")?.queue_items ?? []).map((item) => [item.task_id, item.position + 1]));
    if (counts) this.#chips.show(counts, tasks.size, this.#only);
    let rows = [...tasks.values()].filter(({ task_id: id }) => !this.#picks.isGone(id));
    if (this.#only) rows = rows.filter((task) => task.status === this.#only);
    const wanted = this.#search.toLowerCase();
    if (wanted) rows = rows.filter((task) => searched(task, store).includes(wanted));
    const asked = JSON.stringify([this.#only, this.#search, this.#sort]);
    this.#rows = (asked === this.#asked && this.#held(tasks)) || sorted(rows, this.#sort, store);
    this.#asked = asked;
    COLUMNS.forEach(([name], at) => {
      const direction = name === this.#sort.by ? (this.#sort.down ? "descending" : "ascending") : "none";
      this.#heads[at].setAttribute("aria-sort", direction);
    });
    this.#order.value = this.#sort.by;
    this.#table.setAttribute("aria-rowcount", this.#rows.length + 1);
    this.#drawEmpty(tasks);
    this.#list.setCount(this.#rows.length);
    this.#reveal();
    this.#list.paintNow();
    this.#picks.show();
    this.#all.checked = this.#picks.state === "true";
    this.#all.indeterminate = this.#picks.state === "mixed";
    this.#inspector.show(tasks.get(this.#selected), this.#selected);
  }

  #drawEmpty(tasks) {
    this.#empty.hidden = this.#rows.length > 0 || !this.#app.store.listed;
    if (this.#empty.hidden) return;
    const text = tasks.size ? "No task matches." : "There are no tasks. Press n to start something.";
    if (this.#empty.shown === text) return;
    this.#empty.shown = text;
    const clear = h("button", { type: "button", onclick: () => go(addressOf("tasks")) }, "Show all tasks");
    fill(this.#empty, h("p", null, text), tasks.size ? clear : h("a.button", { href: "#home" }, "What can be started"));
  }

  // The task that the address names, where it is.
  #reveal() {
    const at = this.#selected && this.#revealed !== this.#selected ? this.#rows.findIndex(({ task_id: id }) => id === this.#selected) : -1;
    if (at < 0) return;
    this.#revealed = this.#selected;
    this.#list.reveal(at, { middle: true });
    this.#table.setAttribute("aria-activedescendant", `task-${at}`);
  }

  /** The rows as they stand, if the pointer is over their buttons: what is aimed at must not be another task's. */
  #held(tasks) {
    // A finger leaves no pointer behind.
    if (!matchMedia("(hover: hover)").matches || !this.#scroller.querySelector(".c-acts:hover")) return null;
    return this.#rows.map((task) => tasks.get(task.task_id) ?? { ...task, status: "stopped" });
  }

  #showOnly(name) {
    this.#scroller.scrollTop = 0;
    this.#want({ only: this.#only === name ? "" : name });
  }

  #show(row, at) {
    const task = this.#rows[at];
    const { task_id: id } = task;
    showRow(row, this.#app, task, at, this.#places.get(id), {
      selected: id === this.#selected,
      picked: this.#picks.has(id),
      anySelected: Boolean(this.#selected),
    });
  }

  // `visit`: as by a link, so that Back leads back.
  #select(at, { visit = false } = {}) {
    const task = this.#rows[Math.max(0, Math.min(at, this.#rows.length - 1))];
    if (!task) return;
    const visits = visit && !this.#selected;
    this.#selected = this.#revealed = task.task_id;
    const index = this.#rows.indexOf(task);
    this.#list.reveal(index);
    this.#table.setAttribute("aria-activedescendant", `task-${index}`);
    if (visits) go(this.address);
    else settle(this.address);
    this.#render();
  }

  #clicked({ target, detail, shiftKey }) {
    const at = this.#list.indexOf(target.closest(".t-row"));
    if (at < 0) return;
    if (target.closest(".c-pick")) {
      this.#picks.toggle(at, { through: shiftKey });
      return;
    }
    // The second click of a double one may find another row in this place: the first one counts.
    if (target.closest("button") || detail > 1) return;
    this.#select(at, { visit: true });
    this.#table.focus({ preventScroll: true });
  }

  #clickedTwice(event) {
    if (event.target.closest("button, .c-pick") || !this.#selected) return;
    getSelection().removeAllRanges(); // the second click has marked a word
    this.#app.panes.open(this.#selected);
  }

  #key(event) {
    if (event.target.closest("button, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#rows.findIndex((task) => task.task_id === this.#selected);
    const task = this.#rows[at];
    const moves = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + this.#list.page, PageUp: at - this.#list.page, Home: 0, End: Infinity };
    if (event.key in moves) this.#select(moves[event.key]);
    else if (!task) return;
    else if (event.key === "Enter") this.#app.panes.toggle(task.task_id);
    else if (event.key === " ") this.#picks.toggle(at, { through: event.shiftKey });
    else if (event.key === "r") perform(this.#app, beginning(task), task.task_id);
    else if (event.key in ACTS) perform(this.#app, ACTS[event.key], task.task_id);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
