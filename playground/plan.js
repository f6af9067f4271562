// The plan: the tasks that the configuration names, how they are, and what each of them waits for.

import { fill, h, icon, iconButton, inFrame, named, setIcon, setText } from "./dom.js";
import { many } from "./format.js";
import { attempt } from "./notices.js";
import { allowed } from "./auth.js";
import { Calendar } from "./calendar.js";
import { columnsOf } from "./graph.js";
import { idOf, nameById } from "./names.js";
import { STATES } from "./states.js";
import { addressOf, go } from "./router.js";
import { agreed } from "./starting.js";
import { showButtons } from "./taskactions.js";

const SVG = "http://www.w3.org/2000/svg";
const IDLE = { label: "Not started", icon: "dots" };
const AUTOSTART = { true: "starts with the server", last: "starts with the server if it was running" };
const NEEDS = { started: "started", ready: "ready", healthy: "healthy", succeeded: "to succeed", ended: "to end" };

export class Plan {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    this.#lines.setAttribute("aria-hidden", "true");
    const calendar = h("section.calendar", { "aria-label": "Schedules", hidden: true });
    fill(place, h("header", null, h("h2.view-title", null, "Plan"), h("p.hint", null, "What the configuration names under ", h("code", null, "tasks"), ": what waits for what, and what starts by itself.")), this.#empty, this.#board, this.#alone, calendar);
    this.#calendar = new Calendar(app, calendar);
    this.#draw = inFrame(() => this.#drawLines());
    new ResizeObserver(this.#draw).observe(this.#board);
    app.store.on("tasks", () => place.hidden || this.#load());
  }

  #app;
  #place;
  #empty = h("div.empty", { hidden: true });
  #lines = document.createElementNS(SVG, "svg");
  #board = h("div.plan", null);
  #alone = h("ul.alone", { "aria-label": "Needs no other, nor is needed" });
  #cards = new Map(); // id -> its elements
  #graph = { nodes: [], edges: [] };
  #shape = ""; // which tasks there are, and what depends on what
  #busy = false;
  #draw;
  #calendar;

  shown() {
    this.#load();
    this.#calendar.load();
  }

  async #load() {
    if (this.#busy || !this.#app.link.connected) return;
    this.#busy = true;
    try {
      this.#graph = await this.#app.link.request({ type: "graph" }, { own: true });
      this.#show();
    } catch {
      // The connection is gone, and the next one starts over.
    }
    this.#busy = false;
  }

  #show() {
    const { nodes, edges } = this.#graph;
    this.#empty.hidden = nodes.length > 0;
    if (!nodes.length) {
      fill(this.#empty, h("p", null, "No standing tasks. The server's configuration names them under ", h("code", null, "tasks"), "."));
    }
    const shape = JSON.stringify([nodes.map(({ task_id: id }) => id), edges.map((edge) => [edge.task_id, edge.depends_on])]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#build();
    }
    for (const node of nodes) this.#update(node);
    this.#draw();
  }

  #build() {
    const { nodes, edges } = this.#graph;
    this.#cards = new Map(nodes.map((node) => [node.task_id, this.#card(node)]));
    const tied = new Set(edges.flatMap(({ task_id: id, depends_on: other }) => [id, other]));
    const columns = columnsOf(nodes.filter(({ task_id: id }) => tied.has(id)), edges).map((ids, index) => {
      const cards = ids.map((id) => h("li", null, this.#cards.get(id).card));
      return h("ul.column", { "aria-label": index ? `Needs ${many(index, "step")} before` : "Needs no other" }, cards);
    });
    this.#board.hidden = columns.length === 0;
    fill(this.#board, this.#lines, columns);
    fill(this.#alone, nodes.filter(({ task_id: id }) => !tied.has(id)).map(({ task_id: id }) => h("li", null, this.#cards.get(id).card)));
  }

  #card({ task_id: id, autostart }) {
    const called = h("bdi");
    const open = h("button.quiet.name", { type: "button", title: `Show the output of ${id}`, onclick: () => this.#open(id) }, called);
    const sign = icon("dots");
    const word = h("span", null);
    const state = h("span.state", null, sign, word);
    const needs = h("ul.needs", null);
    const begin = iconButton("run", `Start ${id}`, () => this.#start(id), { text: "Start" });
    const acts = h("span.row", null, begin);
    const about = [idOf(id), AUTOSTART[autostart]];
    const card = h("article.card", { "aria-label": id }, h("div.row", null, open, state), h("p.hint", null, about), needs, acts);
    card.addEventListener("pointerenter", () => this.#mark(id));
    card.addEventListener("pointerleave", () => this.#mark(""));
    return { card, called, sign, word, state, needs, rows: new Map(), begin, acts, stateName: "", needed: "" };
  }

  #update({ task_id: id }) {
    const parts = this.#cards.get(id);
    const task = this.#app.store.tasks.get(id);
    const name = task?.status ?? "";
    setText(parts.called, this.#nameOf(id));
    const { label, icon: sign } = STATES[name] ?? IDLE;
    if (parts.stateName !== name || !parts.word.textContent) {
      parts.stateName = name;
      parts.state.className = `state s-${name || "unknown"}`;
      setIcon(parts.sign, sign);
      setText(parts.word, label);
    }
    const edges = this.#graph.edges.filter((edge) => edge.task_id === id).map((edge) => ({ ...edge, name: this.#nameOf(edge.depends_on) }));
    const needed = JSON.stringify(edges);
    if (needed !== parts.needed) {
      parts.needed = needed;
      parts.rows = new Map(edges.map((edge) => [edge.depends_on, need(edge)]));
      fill(parts.needs, [...parts.rows.values()]);
    }
    parts.begin.hidden = Boolean(task) || !allowed("start") || !this.#app.link.connected;
    showButtons(parts.acts, this.#app, task, { words: ["stop", "again", "reset"] });
  }

  #nameOf(id) {
    return nameById(this.#app.store, id, this.#graph.nodes.find((node) => node.task_id === id)?.action);
  }

  async #start(id) {
    if (!(await agreed(this.#app, this.#graph.nodes.find((node) => node.task_id === id)?.action))) return;
    await attempt(() => this.#app.link.request({ type: "start", task_id: id }));
    this.#app.store.refresh();
  }

  #open(id) {
    go(addressOf("tasks", [id]));
    this.#app.panes.open(id);
  }

  // Emphasise what a task depends on, and what depends on it.
  #mark(id) {
    for (const line of this.#lines.children) {
      line.classList.toggle("on", id !== "" && (line.dataset.from === id || line.dataset.to === id));
    }
  }

  #drawLines() {
    const box = this.#board.getBoundingClientRect();
    const { scrollLeft, scrollTop, scrollWidth, scrollHeight } = this.#board;
    const x = scrollLeft - box.left;
    const y = scrollTop - box.top;
    const middleOf = (element) => {
      const { top, height } = element.getBoundingClientRect();
      return top + height / 2 + y;
    };
    this.#lines.setAttribute("width", 0); // so that its own size does not count
    this.#lines.setAttribute("width", scrollWidth);
    this.#lines.setAttribute("height", scrollHeight);
    const lines = this.#graph.edges.map(({ task_id: to, depends_on: from, met }) => {
      const [source, target] = [this.#cards.get(from), this.#cards.get(to)];
      const start = { x: source.card.getBoundingClientRect().right + x, y: middleOf(source.state) };
      const end = { x: target.card.getBoundingClientRect().left + x, y: middleOf(target.rows.get(from)) };
      const bend = Math.max(18, (end.x - start.x) / 2);
      const line = document.createElementNS(SVG, "path");
      line.setAttribute("class", met ? "met" : "unmet");
      const curve = `C ${start.x + bend} ${start.y} ${end.x - bend} ${end.y} ${end.x} ${end.y}`;
      line.setAttribute("d", `M ${start.x} ${start.y} ${curve}`);
      Object.assign(line.dataset, { from, to });
      return line;
    });
    this.#lines.replaceChildren(...lines);
  }
}

// `name`: of the task that is needed.
function need({ depends_on: other, condition, met, name }) {
  return h(met ? "li.met" : "li.unmet", null, icon(met ? "check" : "dots"), "needs ", named(name), name === other ? null : h("small", null, ` ${other}`), ` ${NEEDS[condition] ?? condition}`);
}
