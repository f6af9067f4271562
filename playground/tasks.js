// The table of tasks: live, sorted, filtered, and only as many rows in the page as can be seen.

import { fill, h, icon, inFrame, setIcon, setText } from "./dom.js";
import { count, isUuid, moment, paramsText } from "./format.js";
import { COLUMNS, searched, sorted, timeText } from "./taskcolumns.js";
import { VirtualList } from "./vlist.js";
import { visible } from "./visible.js";
import { STATES, exitText, isUnhealthy, wordOf } from "./states.js";
import { beginning, perform, showButtons } from "./taskactions.js";
import { Inspector } from "./inspector.js";
import { recall, remember } from "./prefs.js";

const ROW = 32; // px, as .t-row in tasks.css
const ACTS = { x: "stop", Delete: "stop", s: "signal" }; // by key

export class Tasks {
  constructor(app, place) {
    this.#app = app;
    this.#sort = recall("sort", { by: "created", down: true });
    this.#build(place);
    this.#inspector = new Inspector(app);
    this.#body.append(this.#inspector.element);
    this.#list = new VirtualList(this.#scroller, {
      rowHeight: ROW,
      make: () => this.#make(),
      show: (row, at) => this.#show(row, at),
    });
    this.#render = inFrame(() => this.#draw());
    app.store.on("tasks", this.#render);
    app.store.on("pools", this.#render);
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
  #list;
  #render;
  #inspector;
  #scroller;
  #body;
  #input;
  #chips;
  #heads;
  #table;
  #empty;

  get restAt() {
    return this.#table;
  }

  focusSearch() {
    this.#input.focus();
    this.#input.select();
  }

  #build(place) {
    this.#input = h("input", {
      type: "search",
      placeholder: "Find tasks",
      "aria-label": "Find tasks by id, action, parameters or error",
      spellcheck: "false",
    });
    this.#input.addEventListener("input", () => {
      this.#search = this.#input.value.trim().toLowerCase();
      this.#render();
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") this.#table.focus();
      else if (event.key === "Escape" && this.#input.value) {
        this.#input.value = this.#search = "";
        this.#render();
        event.stopPropagation();
      } else return;
      event.preventDefault();
    });
    this.#chips = h("div.chips", { role: "group", "aria-label": "Filter by state" });
    this.#heads = COLUMNS.map(([name, text]) =>
      h(
        `div.c-${name}`,
        { role: "columnheader" },
        h("button", { type: "button", onclick: () => this.#sortBy(name) }, text, icon("sort")),
      ),
    );
    this.#scroller = h("div.t-body", {
      role: "rowgroup",
      tabindex: "-1",
      onclick: (event) => this.#clicked(event),
      ondblclick: (event) => this.#clickedTwice(event),
      onmouseout: (event) => event.target.closest(".c-acts") && this.#render(),
    });
    this.#empty = h("p.empty", { hidden: true });
    const head = h(
      "div.t-head",
      { role: "row" },
      this.#heads,
      h("div.c-acts", { role: "columnheader" }, h("span.offscreen", null, "What you can do")),
    );
    const grid = {
      role: "grid",
      tabindex: "0",
      "aria-label": "Tasks",
      "aria-colcount": COLUMNS.length + 1,
      "aria-keyshortcuts": "Enter x r s",
      onkeydown: (event) => this.#key(event),
      onfocus: () => this.#selected || this.#select(0),
    };
    this.#table = h("div.table", grid, head, this.#scroller);
    this.#body = h("div.tasks-body", null, h("div.table-box", null, this.#table, this.#empty));
    fill(place, h("div.bar", null, this.#input, this.#chips), this.#body);
  }

  #sortBy(name) {
    const column = COLUMNS.find(([each]) => each === name);
    this.#sort =
      this.#sort.by === name ? { by: name, down: !this.#sort.down } : { by: name, down: column[3] === true };
    remember("sort", this.#sort);
    this.#render();
  }

  #draw() {
    const { tasks, counts, pools } = this.#app.store;
    this.#places = new Map((pools.get("")?.queue_items ?? []).map((item) => [item.task_id, item.position + 1]));
    this.#drawChips(counts, tasks.size);
    let rows = [...tasks.values()];
    if (this.#only) rows = rows.filter((task) => task.status === this.#only);
    if (this.#search) rows = rows.filter((task) => searched(task).includes(this.#search));
    const asked = JSON.stringify([this.#only, this.#search, this.#sort]);
    this.#rows = (asked === this.#asked && this.#held(tasks)) || sorted(rows, this.#sort);
    this.#asked = asked;
    COLUMNS.forEach(([name], at) => {
      const direction = name === this.#sort.by ? (this.#sort.down ? "descending" : "ascending") : "none";
      this.#heads[at].setAttribute("aria-sort", direction);
    });
    this.#table.setAttribute("aria-rowcount", this.#rows.length + 1);
    this.#empty.hidden = this.#rows.length > 0;
    setText(this.#empty, tasks.size ? "No task matches." : "Nothing has run yet. Press n to start something.");
    this.#list.setCount(this.#rows.length);
    this.#list.paintNow();
    this.#inspector.show(tasks.get(this.#selected));
  }

  /** The rows as they stand, if the pointer is over their buttons: what is aimed at must not be another task's. */
  #held(tasks) {
    // A finger leaves no pointer behind.
    if (!matchMedia("(hover: hover)").matches || !this.#scroller.querySelector(".c-acts:hover")) return null;
    return this.#rows.map((task) => tasks.get(task.task_id) ?? { ...task, status: "stopped" });
  }

  #drawChips(counts, all) {
    const wanted = [
      ["", "All", all],
      ...Object.entries(STATES).map(([name, { label }]) => [name, label, counts[name] ?? 0]),
    ];
    const key = JSON.stringify([wanted, this.#only]);
    if (this.#chips.shown === key) return;
    this.#chips.shown = key;
    const focused = document.activeElement?.dataset?.state;
    const inside = this.#chips.contains(document.activeElement);
    fill(
      this.#chips,
      wanted
        .filter(([name, , number]) => !name || number || name === this.#only)
        .map(([name, label, number]) =>
          h(
            `button.chip.s-${name || "all"}`,
            {
              type: "button",
              "data-state": name,
              "aria-pressed": String(name === this.#only),
              onclick: () => this.#show1(name),
            },
            name ? icon(STATES[name].icon) : null,
            `${label} `,
            h("b", null, count(number)),
          ),
        ),
    );
    if (inside) this.#chips.querySelector(`[data-state="${focused}"]`)?.focus();
  }

  #show1(name) {
    this.#only = this.#only === name ? "" : name;
    this.#scroller.scrollTop = 0;
    this.#render();
  }

  #make() {
    const cells = {};
    const row = h("div.t-row", { role: "row" });
    for (const [name] of COLUMNS) {
      cells[name] = h(`div.c-${name}`, { role: "gridcell" });
      row.append(cells[name]);
    }
    cells.word = h("span");
    cells.icon = icon("dots");
    cells.mark = h("span.mark", { title: "Unhealthy", role: "img", "aria-label": "unhealthy" }, icon("bad"));
    cells.status.append(cells.icon, cells.word, cells.mark);
    cells.acts = h("div.c-acts", { role: "gridcell" });
    row.append(cells.acts);
    row.cells = cells;
    return row;
  }

  #show(row, at) {
    const task = this.#rows[at];
    const { cells } = row;
    const { status } = task;
    const id = `task-${at}`;
    if (row.id !== id) {
      row.id = id;
      row.setAttribute("aria-rowindex", at + 2);
    }
    const isOpen = this.#app.panes.has(task.task_id);
    const selected = task.task_id === this.#selected;
    row.className = `t-row s-${status}${selected ? " selected" : ""}${isOpen ? " open" : ""}`;
    row.setAttribute("aria-selected", String(selected));
    setText(cells.time, timeText(task, this.#app.link.now));
    const place = this.#places.get(task.task_id);
    setText(cells.word, place ? `${STATES[status].label} #${place}` : wordOf(task));
    cells.mark.hidden = !isUnhealthy(task);
    const { connected } = this.#app.link;
    if (row.task === task && row.connected === connected) return;
    row.task = task;
    row.connected = connected;
    setIcon(cells.icon, STATES[status]?.icon ?? "dots");
    setText(cells.id, task.task_id);
    cells.id.title = visible(task.task_id);
    cells.id.classList.toggle("uuid", isUuid(task.task_id));
    setText(cells.action, task.action);
    const params = paramsText(task.params);
    setText(cells.params, params);
    cells.params.title = visible(params);
    setText(cells.pid, task.current_pid ? String(task.current_pid) : "");
    setText(cells.restarts, task.restart_count ? count(task.restart_count) : "");
    const exit = [exitText(task, this.#app.watch.signal(task.task_id)), task.error_message]
      .filter(Boolean)
      .join(": ");
    setText(cells.exit, exit);
    cells.exit.title = visible(exit);
    setText(cells.created, moment(task.created_at));
    showButtons(cells.acts, this.#app, task, { tabbable: false });
  }

  #select(at) {
    const task = this.#rows[Math.max(0, Math.min(at, this.#rows.length - 1))];
    if (!task) return;
    this.#selected = task.task_id;
    const index = this.#rows.indexOf(task);
    this.#list.reveal(index);
    this.#table.setAttribute("aria-activedescendant", `task-${index}`);
    this.#render();
  }

  #clicked({ target, detail }) {
    // The second click of a double one may find another row in this place: the first one counts.
    if (target.closest("button") || detail > 1) return;
    const at = this.#list.indexOf(target.closest(".t-row"));
    if (at < 0) return;
    this.#select(at);
    this.#table.focus({ preventScroll: true });
  }

  #clickedTwice(event) {
    if (event.target.closest("button") || !this.#selected) return;
    getSelection().removeAllRanges(); // the second click has marked a word
    this.#app.panes.open(this.#selected);
  }

  #key(event) {
    if (event.target.closest("button") || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#rows.findIndex((task) => task.task_id === this.#selected);
    const task = this.#rows[at];
    const moves = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? 0 : at - 1,
      PageDown: at + this.#list.page,
      PageUp: at - this.#list.page,
      Home: 0,
      End: Infinity,
    };
    if (event.key in moves) this.#select(moves[event.key]);
    else if (!task) return;
    else if (event.key === "Enter") this.#app.panes.toggle(task.task_id);
    else if (event.key === "r") perform(this.#app, beginning(task), task.task_id);
    else if (event.key in ACTS) perform(this.#app, ACTS[event.key], task.task_id);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
