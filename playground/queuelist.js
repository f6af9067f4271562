// What waits in a pool, in order. Those who may move it: a task's handle is dragged, or has the arrow keys (Home and
// End: the first and the last place); pressed, it opens buttons for the same.

import { fill, h, icon, setText } from "./dom.js";
import { count, duration, many } from "./format.js";
import { idOf, nameOf, shortId } from "./names.js";
import { attempt } from "./notices.js";
import { addressOf } from "./router.js";
import { allowed } from "./auth.js";

const SHOWN = 50; // items listed; the rest is counted
const EDGE = 16; // px from the list's ends, within which a drag scrolls it
const SLACK = 4; // px that a press may wander before it is a drag
const KEYS = { ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last" };
const BUTTONS = [
  ["first", "force", "First"],
  ["up", "up", "Up"],
  ["down", "next", "Down"],
  ["last", "down", "Last"],
];

export class QueueList {
  /** `pool`: its action, "" for the pool of all. */
  constructor(app, pool) {
    this.#app = app;
    this.#pool = pool;
    this.element = h("ol.queue", { "aria-label": "Waiting, in this order" });
  }

  element;
  #app;
  #pool;
  #items = [];
  #waiting = 0;
  #open = ""; // whose buttons are shown
  #drag = null; // {at, target}: the index, and the task there, whose place it would take
  #pressed = false; // a handle is held: a redraw would replace it, and its release would go unheard
  #asked = false; // a move waits for its answer
  #drawn = "";

  /** Show these items of a queue, and that `waiting` wait in all. */
  show(items, waiting) {
    this.#items = items.slice(0, SHOWN);
    this.#waiting = waiting;
    if (!this.#pressed) this.#draw();
    const { now } = this.#app.link;
    for (const age of this.element.querySelectorAll(".age")) setText(age, duration(now - Date.parse(age.dataset.since)));
  }

  get #movable() {
    return this.#waiting > 1 && allowed("move") && this.#app.can("move") && this.#app.link.connected;
  }

  #draw() {
    const key = JSON.stringify([this.#items, this.#waiting, this.#open, this.#movable]);
    if (this.#drawn === key) return;
    this.#drawn = key;
    const { id, act } = this.element.contains(document.activeElement) ? document.activeElement.dataset : {};
    const rest = this.#waiting - SHOWN;
    fill(this.element, this.#items.map((item) => this.#row(item)), rest > 0 ? h("li.rest", null, `and ${many(rest, "more", "more")}`) : null);
    if (act) this.element.querySelector(`[data-id="${CSS.escape(id)}"][data-act="${act}"]`)?.focus();
  }

  #row(item) {
    const { store } = this.#app;
    const id = item.task_id;
    const task = store.tasks.get(id) ?? item;
    const name = nameOf(store, task);
    const called = `${name} ${shortId(id)}`;
    const open = this.#movable && this.#open === id;
    return h(
      open ? "li.open" : "li",
      { value: item.position + 1, "data-task": id },
      this.#movable ? this.#handle(item, called, open) : null,
      h("span.place", null, `${item.position + 1}`),
      h("a.name", { href: addressOf("tasks", [id]) }, name),
      idOf(id),
      item.forced ? h("span.tag", null, icon("force"), "forced") : null,
      h("span.age", { "data-since": item.queued_at }),
      open ? this.#buttons(item, called) : null,
    );
  }

  #handle(item, name, open) {
    const label = `Move ${name}, number ${item.position + 1} of ${count(this.#waiting)}`;
    return h(
      "button.quiet.grip",
      {
        type: "button",
        "aria-label": label,
        "aria-expanded": String(open),
        title: "Drag, or press the arrow keys",
        "data-id": item.task_id,
        "data-act": "grip",
        onclick: () => this.#turn(item.task_id),
        onkeydown: (event) => this.#keyed(event, item),
        onpointerdown: (event) => this.#grabbed(event, item),
      },
      icon("grip"),
    );
  }

  #buttons(item, name) {
    const button = ([act, sign, words]) => {
      const nowhere = item.position === (act === "first" || act === "up" ? 0 : this.#waiting - 1);
      const about = { type: "button", "aria-label": `${words}: ${name}`, "aria-disabled": String(nowhere), "data-id": item.task_id, "data-act": act };
      return h("button.plain", { ...about, onclick: () => this.#step(item, act) }, icon(sign), words);
    };
    return h("span.moves", { role: "group", "aria-label": `Move ${name}` }, BUTTONS.map(button));
  }

  #turn(id) {
    this.#open = this.#open === id ? "" : id;
    this.#draw();
  }

  #keyed(event, item) {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#step(item, act);
  }

  #step({ task_id: id, position }, act) {
    const steps = { up: position, down: position + 2 }; // places count from 1
    if (act === "up" && position === 0) return;
    this.#move(id, act in steps ? { position: steps[act] } : { to: act });
  }

  async #move(id, where) {
    if (this.#asked) return;
    this.#asked = true;
    const request = { type: "move", task_id: id, ...(this.#pool && { action: this.#pool }), ...where };
    await attempt(() => this.#app.link.request(request));
    this.#asked = false;
    this.#app.store.refresh();
  }

  // Dragging

  #grabbed(event, item) {
    if (event.button !== 0) return;
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const row = handle.closest("li");
    const from = [...this.element.children].indexOf(row); // each round brings new items
    const drag = { at: from };
    this.#pressed = true;
    const moved = ({ clientY }) => {
      if (!this.#drag && Math.abs(clientY - event.clientY) < SLACK) return;
      this.#drag = drag;
      row.classList.add("dragged");
      this.#aim(drag, clientY, from);
    };
    const ended = ({ type }) => {
      for (const [name, listener] of Object.entries(listeners)) handle.removeEventListener(name, listener);
      document.removeEventListener("keydown", escaped, true);
      this.#pressed = false;
      if (!this.#drag) {
        setTimeout(() => this.#pressed || this.#draw()); // the click comes first
        return;
      }
      this.#drag = null;
      handle.addEventListener("click", swallowed, { once: true, capture: true });
      setTimeout(() => handle.removeEventListener("click", swallowed, true));
      this.#drawn = "";
      this.#draw();
      if (type !== "pointerup" || drag.at === from) return;
      this.#move(item.task_id, drag.at < from ? { before: drag.target } : { after: drag.target });
    };
    const swallowed = (click) => click.stopImmediatePropagation();
    const escaped = (press) => {
      if (press.key !== "Escape") return;
      press.stopPropagation();
      ended(press);
    };
    const listeners = { pointermove: moved, pointerup: ended, pointercancel: ended };
    for (const [name, listener] of Object.entries(listeners)) handle.addEventListener(name, listener);
    document.addEventListener("keydown", escaped, true);
  }

  // The task would take the place of the row that the pointer is over.
  #aim(drag, y, from) {
    const rows = [...this.element.querySelectorAll("li[data-task]")];
    const over = rows.findIndex((row) => y < row.getBoundingClientRect().bottom);
    drag.at = over < 0 ? rows.length - 1 : over;
    drag.target = rows[drag.at].dataset.task; // others may come and go meanwhile
    rows.forEach((row, index) => {
      row.classList.toggle("drop-before", index === drag.at && index < from);
      row.classList.toggle("drop-after", index === drag.at && index > from);
    });
    const { top, bottom } = this.element.getBoundingClientRect();
    if (y < top + EDGE) this.element.scrollTop -= EDGE;
    else if (y > bottom - EDGE) this.element.scrollTop += EDGE;
  }
}
