// Runs over time: a lane for each task, or action of tasks without a name of their own. A run is a bar as long as it
// took, and a dot where it was short; what overlaps lies one below the other, and failures have corners. A crosshair
// tells the time, and dragging over some of it shows the runs of that time. For one task, also how long each run took.

import { fill, h, named, setText } from "./dom.js";
import { count, duration, exactly, isUuid, many, shortMoment } from "./format.js";
import { RUN_STATES, STATES } from "./states.js";
import { exitOf, lastedOf } from "./runwords.js";
import { scaleOf, ticksOf } from "./timescale.js";

const LANES = 9;
const ROWS = 5; // of a lane
const DOT = 10; // px, as .run-bar in history.css
const NAMES = [190, 104]; // px for names and what is left and right of lanes: where there is room, where there is little
const DRAGGED = 8; // px from which on a press is one
const MOST = 500; // runs
const SECOND = 1000;
const APART = 110; // px between two times below the lanes, at least

export class Timeline {
  /**
   * `open` (run): called for the bar of a run that was clicked; `choose` (from, to, in ms): for a time that was dragged
   * over; `titled` (action): what an action is called.
   */
  constructor({ open, choose, titled }) {
    this.#open = open;
    this.#choose = choose;
    this.#titled = titled;
    this.element = h("figure.timeline", { hidden: true }, h("div.timeline-head", null, this.#kinds, this.#when), h("div.lanes-box", null, this.#lanes, this.#cross, this.#said), this.#took);
    this.element.addEventListener("click", ({ target }) => this.#of(target) && this.#open(this.#of(target)));
    this.element.addEventListener("pointerover", ({ target }) => this.#say(this.#of(target)));
    this.element.addEventListener("pointerleave", () => this.#say(null));
    const box = this.#lanes.parentNode;
    box.addEventListener("pointerdown", (event) => this.#press(event));
    box.addEventListener("pointermove", (event) => this.#move(event));
    box.addEventListener("pointerup", (event) => this.#release(event));
    box.addEventListener("pointerleave", () => this.#aim(null));
    box.addEventListener("pointercancel", () => this.#aim(null));
  }

  element;
  #open;
  #choose;
  #titled;
  #kinds = h("span.kinds", { "aria-hidden": "true" });
  #when = h("span.when");
  #cross = h("div.cross", { hidden: true });
  #scale = null;
  #from = null; // where a drag began, a share of the width
  #lanes = h("div.lanes", { role: "img" });
  #took = h("div.took", { hidden: true });
  #said = h("figcaption", { "aria-hidden": "true", hidden: true });
  #runs = new Map(); // by id
  #bars = new Map(); // run id -> its elements
  #marked = "";
  #now = 0;
  #drawn = "";

  /** Show runs, the newest first; `now`: the server's time in ms; `taskId`: they are all of this task. */
  show(all, now, taskId) {
    const runs = all.slice(0, MOST);
    this.element.hidden = runs.length === 0;
    if (!runs.length) return;
    const lasting = runs.some(({ status }) => status === "running") ? Math.floor(now / SECOND) : 0;
    const key = JSON.stringify([runs.map((run) => [run.run_id, run.status]), lasting, taskId, this.element.clientWidth]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#now = now;
    this.#runs = new Map(runs.map((run) => [run.run_id, run]));
    this.#bars = new Map();
    this.#draw(runs);
    this.#drawTook(runs, taskId);
    this.mark(this.#marked);
  }

  /** Mark a run's bars. */
  mark(runId = "") {
    for (const bar of this.#bars.get(this.#marked) ?? []) bar.classList.remove("on");
    this.#marked = runId;
    for (const bar of this.#bars.get(runId) ?? []) bar.classList.add("on");
    this.#say(this.#runs.get(runId) ?? null);
  }

  #draw(runs) {
    const spans = runs.map((run) => {
      const from = Date.parse(run.started);
      return { run, from, to: from + (lastedOf(run, this.#now) ?? 0) };
    });
    const first = Math.min(...spans.map(({ from }) => from));
    const last = Math.max(...spans.map(({ to }) => to), first + SECOND);
    const scale = scaleOf(spans, first, last);
    const { at, voids } = scale;
    const lanes = lanesOf(spans, this.#titled);
    const room = Math.max(100, this.element.clientWidth - (this.element.clientWidth < 560 ? NAMES[1] : NAMES[0]));
    const ticks = ticksOf(first, last, scale, Math.max(2, Math.floor(room / APART)));
    this.#scale = scale;
    const shown = new Set(runs.map(({ status }) => status));
    fill(this.#kinds, RUN_STATES.filter((status) => shown.has(status)).map(kind));
    const names = lanes.map(({ name, id }) => `${name} ${id}`.trim()).join(", ");
    this.#lanes.setAttribute("aria-label", `${many(runs.length, "run")} in ${duration(last - first)}: ${names}`);
    fill(
      this.#lanes,
      lanes.map(({ name, id, spans: some }) => [nameOf(name, id, some), this.#lane(some, at, ticks, voids, room)]),
      h(
        "div.axis",
        null,
        ticks.map((tick) => placed(h("span", null, tick.text), at(tick.at))),
        voids.map(([from, to]) => placed(h("b", { title: "Nothing started or ended in this time" }, duration(to - from).split(" ")[0]), at(from))),
      ),
    );
  }

  // `room`: px that it has.
  #lane(spans, at, ticks, voids, room) {
    const ends = []; // px of the last bar in each row
    const bars = [];
    for (const { run, from, to } of [...spans].reverse()) {
      const wide = Math.max(DOT, ((at(to) - at(from)) / 100) * room);
      const left = Math.min((at(from) / 100) * room, room - wide);
      let row = ends.findIndex((end) => end <= left);
      if (row < 0) row = ends.length < ROWS ? ends.length : ends.indexOf(Math.min(...ends));
      ends[row] = left + wide + 1;
      const bar = this.#bar(run);
      placed(bar, at(from)).style.setProperty("--wide", `${at(to) - at(from)}%`);
      bar.style.setProperty("--row", String(row));
      bar.classList.toggle("short", wide === DOT);
      bars.push(bar);
    }
    // Failures come last, so that nothing hides them.
    bars.sort((a, b) => Number(a.matches(".s-failed, .s-lost")) - Number(b.matches(".s-failed, .s-lost")));
    const folds = voids.map(([from]) => placed(h("i.void"), at(from)));
    const lane = h("div.lane", null, ticks.map((tick) => placed(h("i"), at(tick.at))), folds, bars);
    lane.style.setProperty("--rows", String(ends.length));
    return lane;
  }

  #drawTook(runs, taskId) {
    const lasted = runs.map((run) => [run, lastedOf(run, this.#now)]).filter(([, ms]) => ms !== null);
    this.#took.hidden = !taskId || lasted.length < 2;
    if (this.#took.hidden) return;
    const longest = Math.max(1, ...lasted.map(([, ms]) => ms));
    const middle = lasted.map(([, ms]) => ms).sort((a, b) => a - b)[lasted.length >> 1];
    fill(
      this.#took,
      h("span.lane-name", null, "took"),
      h(
        "div.columns",
        { role: "img", "aria-label": `They took up to ${exactly(longest)}, half of them up to ${exactly(middle)}` },
        lasted.reverse().map(([run, ms]) => {
          const column = this.#bar(run);
          column.style.setProperty("--high", `${(ms / longest) * 100}%`);
          return column;
        }),
      ),
      h("span.most", null, h("span", null, `${exactly(longest)} at most`), h("span", null, `${exactly(middle)} typical`)),
    );
  }

  #bar(run) {
    const bar = h(`div.run-bar.s-${run.status}`, { "data-run": run.run_id });
    if (!this.#bars.has(run.run_id)) this.#bars.set(run.run_id, []);
    this.#bars.get(run.run_id).push(bar);
    return bar;
  }

  #of(target) {
    return this.#runs.get(target.closest(".run-bar")?.dataset.run);
  }

  // What is known of a run, above its bar.
  #say(run) {
    const shown = run ?? this.#runs.get(this.#marked);
    const bar = shown && this.#bars.get(shown.run_id)?.[0];
    this.#said.hidden = !bar;
    if (!bar) return;
    const ran = lastedOf(shown, this.#now);
    const word = (STATES[shown.status]?.label ?? shown.status).toLowerCase();
    const exit = exitOf(shown);
    const how = exit && exit !== word ? `${word}, ${exit}` : word;
    const parts = [how, shortMoment(shown.started, this.#now), ran === null ? "" : exactly(ran)].filter(Boolean);
    fill(this.#said, h("b", null, named(this.#titled(shown.action)), isUuid(shown.task_id) ? null : [" ", named(shown.task_id)], ` #${shown.number}`), `: ${parts.join(" · ")}`);
    const box = this.#lanes.parentNode.getBoundingClientRect();
    const { left, width, top } = bar.getBoundingClientRect();
    const half = this.#said.offsetWidth / 2;
    const middle = Math.min(box.width - half, Math.max(half, left - box.left + width / 2));
    this.#said.style.setProperty("--x", `${middle}px`);
    this.#said.style.setProperty("--y", `${top - box.top}px`);
  }

  // Where the pointer is, a share of the lanes' width; null: beside them.
  #shareOf({ clientX }) {
    const lane = this.#lanes.querySelector(".lane")?.getBoundingClientRect();
    if (!lane) return null;
    const share = (clientX - lane.left) / lane.width;
    return share >= 0 && share <= 1 ? share : null;
  }

  #press(event) {
    this.#from = event.button === 0 && event.pointerType !== "touch" && !this.#of(event.target) ? this.#shareOf(event) : null;
    if (this.#from !== null) event.preventDefault(); // no text is marked
  }

  #move(event) {
    const share = this.#shareOf(event);
    this.#aim(share ?? (this.#from === null ? null : Math.round(event.clientX > event.currentTarget.getBoundingClientRect().left + 200)));
  }

  #release(event) {
    const [from, to] = [this.#from, this.#shareOf(event)].sort();
    this.#aim(null);
    const lane = this.#lanes.querySelector(".lane");
    if (from === null || to === null || !lane || (to - from) * lane.clientWidth < DRAGGED) return;
    this.#choose(this.#scale.timeAt(from), this.#scale.timeAt(to));
  }

  // The crosshair, and what is dragged over.
  #aim(share) {
    this.#cross.hidden = share === null;
    if (share === null) {
      this.#from = null;
      setText(this.#when, "");
      return;
    }
    const lane = this.#lanes.querySelector(".lane");
    const from = this.#from ?? share;
    this.#cross.style.setProperty("--left", `${lane.offsetLeft + Math.min(from, share) * lane.clientWidth}px`);
    this.#cross.style.setProperty("--wide", `${Math.abs(from - share) * lane.clientWidth}px`);
    this.#cross.classList.toggle("drags", this.#from !== null);
    const told = [from, share].sort((one, other) => one - other).map((each) => shortMoment(new Date(this.#scale.timeAt(each)).toISOString(), this.#now));
    setText(this.#when, from === share ? told[0] : told.join(" – "));
  }
}

// What the bars of a state look like.
const kind = (status) => h("span.kind", null, h(`span.run-bar.short.s-${status}`), STATES[status].label);

// The name of a lane, its task's id if somebody chose that, and how many runs are in it, and failed.
function nameOf(name, id, spans) {
  const bad = spans.filter(({ run: { status } }) => status === "failed" || status === "lost").length;
  return h("span.lane-name", { title: `${name} ${id}`.trim() }, named(name), id ? h("bdi.lane-id", null, id) : null, h("small", null, count(spans.length - bad)), bad ? h("small.bad", null, count(bad)) : null);
}

// {name, id, spans} of each task with an id that somebody chose, and else of each action; the one with the latest run
// first; where there are too many, those with few runs share the last.
function lanesOf(spans, titled) {
  const lanes = new Map();
  for (const span of spans) {
    const { task_id: taskId, action } = span.run;
    const id = isUuid(taskId) ? "" : taskId;
    const key = id || ` ${action}`;
    if (!lanes.has(key)) lanes.set(key, { name: titled(action), id, spans: [] });
    lanes.get(key).spans.push(span);
  }
  const all = [...lanes.values()];
  if (all.length <= LANES) return all;
  const busy = new Set(all.toSorted((a, b) => b.spans.length - a.spans.length).slice(0, LANES - 1));
  const others = all.filter((lane) => !busy.has(lane));
  const together = others.flatMap((lane) => lane.spans).sort((a, b) => b.from - a.from);
  return [...all.filter((lane) => busy.has(lane)), { name: `${count(others.length)} others`, id: "", spans: together }];
}

function placed(element, percent) {
  element.style.setProperty("--at", `${percent}%`);
  return element;
}
