// The calendar: when standing tasks are started by themselves, what comes next, and what was skipped and why.

import { fill, h, icon, iconButton, named, setIcon, setText } from "./dom.js";
import { duration, many, moment, shortMoment } from "./format.js";
import { attempt, say } from "./notices.js";
import { idOf, nameById } from "./names.js";
import { agreed } from "./starting.js";
import { allowed } from "./auth.js";
import { isOver } from "./states.js";

const WHY = {
  overlap: "still in use",
  queue_full: "still in use, and one start waited already",
  missed: "the server was not running",
  paused: "paused",
  disabled: "disabled",
};
const AHEAD = 8; // starts that are asked for of each task
const SHOWN = 30; // lines of a list
const TASKS = 300; // tasks with buttons
const TICK = 30_000; // ms between two looks at what time it is

export class Calendar {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    fill(
      place,
      h("div.card", null, h("h3", null, "Schedules"), this.#tasks, this.#more),
      h("div.card", null, h("h3", null, "Coming up"), this.#coming),
      h("div.card", null, h("h3", null, "Skipped"), this.#skipped),
    );
    app.link.on("status", ({ state }) => state === "open" && (this.#asked = false));
    app.link.on("skipped", () => this.#soon());
    app.store.on("tasks", () => (this.#asked ? this.#soon() : this.#visible && this.load()));
  }

  #app;
  #place;
  #tasks = h("ul.scheduled", null);
  #more = h("p.hint", null);
  #coming = h("ol.times", null);
  #skipped = h("ol.times", null);
  #rows = new Map(); // task id -> its elements
  #infos = [];
  #asked = false; // over this connection
  #busy = false;
  #took = 0; // ms, to ask for all of it: a server with thousands is not asked all the time
  #timer = 0;
  #loadsAt = 0; // when the timer fires

  /** Ask for the schedules, and show them. */
  async load() {
    if (this.#busy || !this.#app.link.connected) return;
    this.#busy = true;
    this.#asked = true;
    const begun = Date.now();
    try {
      this.#infos = await this.#all();
      this.#took = Date.now() - begun;
      this.#show();
    } catch {
      // The connection is gone, and the next one starts over; or the server is older.
    }
    this.#busy = false;
  }

  get #visible() {
    return !this.#place.parentElement.hidden;
  }

  async #all() {
    const found = [];
    let after = "";
    do {
      const request = { type: "schedules", upcoming: AHEAD, limit: 1000, ...(after && { after }) };
      const { schedules, next } = await this.#app.link.request(request, { own: true });
      found.push(...schedules);
      after = next;
    } while (after);
    return found;
  }

  // Something has happened, or will in so many milliseconds: what follows from it is shown then.
  #soon(wait = Math.max(200, 10 * this.#took)) {
    const when = Date.now() + wait;
    if (!this.#visible || !this.#infos.length || (this.#loadsAt && this.#loadsAt <= when)) return;
    clearTimeout(this.#timer);
    this.#loadsAt = when;
    this.#timer = setTimeout(() => {
      this.#loadsAt = 0;
      this.load();
    }, wait);
  }

  #show() {
    const infos = this.#infos;
    this.#place.hidden = infos.length === 0;
    if (!infos.length) return;
    const now = this.#app.link.now;
    const gone = new Set(this.#rows.keys());
    for (const info of infos.slice(0, TASKS)) {
      gone.delete(info.task_id);
      if (!this.#rows.has(info.task_id)) this.#add(info.task_id);
      this.#update(info, now);
    }
    for (const id of gone) this.#remove(id);
    const more = infos.length - this.#rows.size;
    setText(this.#more, more > 0 ? `${many(more, "more task")}: overseerctl schedules` : "");
    this.#showComing(now);
    this.#showSkipped(now);
    const next = Math.min(...infos.filter(({ next }) => next).map(({ due, next }) => Date.parse(due ?? next)));
    this.#soon(Math.max(500, 10 * this.#took, Math.min(next - now + 300, TICK)));
  }

  #add(id) {
    const name = h("bdi");
    const when = h("span.when", null);
    const next = h("p.hint", null);
    const sign = icon("pause");
    const word = h("span", null);
    const pause = h("button.quiet", { type: "button", onclick: () => this.#pause(id) }, sign, word);
    const run = iconButton("run", `Run ${id} now`, () => this.#run(id), { text: "Run now" });
    const row = h("li", { "aria-label": id }, h("div", null, h("b", null, name), idOf(id), when, next), h("span.row", null, run, pause));
    this.#rows.set(id, { row, name, when, next, sign, word, pause, run, paused: false });
    this.#tasks.append(row);
  }

  #remove(id) {
    this.#rows.get(id).row.remove();
    this.#rows.delete(id);
  }

  #update(info, now) {
    const parts = this.#rows.get(info.task_id);
    parts.paused = Boolean(info.paused);
    parts.row.classList.toggle("is-paused", parts.paused);
    setText(parts.name, nameById(this.#app.store, info.task_id, info.action));
    setText(parts.when, info.when.join("; "));
    setText(parts.next, standing(info, now));
    setIcon(parts.sign, parts.paused ? "run" : "pause");
    setText(parts.word, parts.paused ? "Resume" : "Pause");
    parts.pause.title = parts.paused ? `Have ${info.task_id} started by its schedule again` : `Skip each start of ${info.task_id}`;
    parts.pause.hidden = !allowed(parts.paused ? "resume" : "pause");
    const task = this.#app.store.tasks.get(info.task_id);
    parts.run.hidden = !allowed("start") || Boolean(task && !isOver(task.status));
  }

  #showComing(now) {
    const coming = this.#infos
      .filter(({ paused }) => !paused)
      .flatMap(({ task_id: id, upcoming }) => (upcoming ?? []).map((at) => ({ id, at })))
      .sort((one, other) => (one.at < other.at ? -1 : 1))
      .slice(0, SHOWN);
    const rows = coming.map(({ id, at }) => line(at, now, this.#who(id), `in ${duration(Date.parse(at) - now)}`));
    fill(this.#coming, rows.length ? rows : h("li.hint", null, "Nothing is to be started."));
  }

  #showSkipped(now) {
    const skipped = this.#infos
      .flatMap(({ task_id: id, skipped }) => (skipped ?? []).map((skip) => ({ id, ...skip })))
      .sort((one, other) => (one.slot < other.slot ? 1 : -1))
      .slice(0, SHOWN);
    const rows = skipped.map(({ id, slot, reason, number }) => {
      const more = number > 1 ? ` (${many(number, "time")})` : "";
      return line(slot, now, this.#who(id), `${WHY[reason] ?? reason}${more}`);
    });
    fill(this.#skipped, rows.length ? rows : h("li.hint", null, "Nothing was skipped."));
  }

  // Its name and its id, in a list.
  #who(id) {
    const { action } = this.#infos.find((info) => info.task_id === id);
    return [h("b", null, named(nameById(this.#app.store, id, action))), idOf(id)];
  }

  async #pause(id) {
    const [type, back] = this.#rows.get(id).paused ? ["resume", "pause"] : ["pause", "resume"];
    const ask = (what) => attempt(() => this.#app.link.request({ type: what, task_id: id }));
    const undo = async () => (await ask(back), this.load());
    if (await ask(type)) say([type === "pause" ? "Paused " : "Resumed ", named(id)], { act: ["Undo", undo] });
    this.load();
  }

  async #run(id) {
    if (!(await agreed(this.#app, this.#infos.find((info) => info.task_id === id)?.action))) return;
    await attempt(() => this.#app.link.request({ type: "start", task_id: id }));
    this.#app.store.refresh();
    this.load();
  }
}

// How a task stands with its schedules, in a sentence.
function standing({ paused, error, waiting, next, due, last }, now) {
  const before = last ? `; last ${shortMoment(last, now)}` : "";
  if (paused) return `paused${before}`;
  if (error) return `refused: ${error}`;
  if (waiting) return `a start waits for it to be over${before}`;
  if (!next) return `nothing follows${before}`;
  const late = due ? `, at ${shortMoment(due, now)}` : "";
  return `next ${shortMoment(next, now)}${late}${before}`;
}

function line(at, now, who, text) {
  return h("li", null, h("time", { datetime: at, title: moment(at) }, shortMoment(at, now)), who, h("span", null, text));
}
