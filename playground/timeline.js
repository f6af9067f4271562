// Runs over time: a lane for each task, or action of tasks without a name of their own. What overlaps lies one below
// the other, failures are tall, and what is short is still seen. For one task, also how long each of its runs took.

import { fill, h, named, setText } from "./dom.js";
import { count, duration, exactly, isUuid, many, shortMoment } from "./format.js";
import { STATES } from "./states.js";
import { exitOf, lastedOf } from "./runwords.js";

const LANES = 8;
const ROWS = 4; // of a lane
const MOST = 500; // runs
const SECOND = 1000;
const DAY = 86_400_000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200]
  .map((seconds) => seconds * SECOND)
  .concat([1, 2, 7, 14, 30, 90, 365].map((days) => days * DAY));
const APART = 110; // px between two times below the lanes, at least
const VOID = 0.3; // the share of all time without a start or an end from which on it is drawn as
const FOLDED = 5; // % of the width only

export class Timeline {
  /** `open` (run): called for the bar of a run that was clicked. */
  constructor(open) {
    this.#open = open;
    this.element = h("figure.timeline", { hidden: true }, this.#lanes, this.#took, this.#said);
    this.element.addEventListener("click", ({ target }) => this.#of(target) && this.#open(this.#of(target)));
    this.element.addEventListener("pointerover", ({ target }) => this.#say(this.#of(target)));
    this.element.addEventListener("pointerleave", () => this.#say(null));
  }

  element;
  #open;
  #lanes = h("div.lanes", { role: "img" });
  #took = h("div.took", { hidden: true });
  #said = h("figcaption", { "aria-hidden": "true" });
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
    if (!this.#said.textContent) this.#say(null);
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
    const lanes = lanesOf(spans);
    const ticks = ticksOf(first, last, scale, Math.max(2, Math.floor((this.element.clientWidth - 180) / APART)));
    const names = lanes.map(({ name }) => name).join(", ");
    this.#lanes.setAttribute("aria-label", `${many(runs.length, "run")} in ${duration(last - first)}: ${names}`);
    fill(
      this.#lanes,
      lanes.map(({ name, spans: some }) => [h("span.lane-name", { title: name }, named(name)), this.#lane(some, at, ticks, voids)]),
      h(
        "div.axis",
        null,
        ticks.map((tick) => placed(h("span", null, tick.text), at(tick.at))),
        voids.map(([from, to]) => placed(h("b", { title: "Nothing started or ended in this time" }, duration(to - from).split(" ")[0]), at(from))),
      ),
    );
  }

  #lane(spans, at, ticks, voids) {
    const ends = []; // of the last bar in each row
    const bars = [];
    for (const { run, from, to } of [...spans].reverse()) {
      const [left, right] = [at(from), at(to)];
      let row = ends.findIndex((end) => end <= from);
      if (row < 0) row = ends.length < ROWS ? ends.length : ends.indexOf(Math.min(...ends));
      ends[row] = to;
      const bar = this.#bar(run);
      placed(bar, left).style.setProperty("--wide", `${right - left}%`);
      bar.style.setProperty("--row", String(row));
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

  #say(run) {
    const shown = run ?? this.#runs.get(this.#marked);
    if (!shown) {
      setText(this.#said, "Each bar is a run, as long as it took; tall ones failed.");
      return;
    }
    const ran = lastedOf(shown, this.#now);
    const word = (STATES[shown.status]?.label ?? shown.status).toLowerCase();
    const exit = exitOf(shown);
    const how = exit && exit !== word ? `${word}, ${exit}` : word;
    const parts = [how, shortMoment(shown.started, this.#now), ran === null ? "" : exactly(ran)].filter(Boolean);
    fill(this.#said, named(shown.task_id), ` #${shown.number}: ${parts.join(" · ")}`);
  }
}

// {name, spans}, the one with the latest run first; where there are too many, those with few runs share the last.
function lanesOf(spans) {
  const lanes = new Map();
  for (const span of spans) {
    const { task_id: taskId, action } = span.run;
    const name = isUuid(taskId) ? action : taskId;
    if (!lanes.has(name)) lanes.set(name, []);
    lanes.get(name).push(span);
  }
  const all = [...lanes].map(([name, some]) => ({ name, spans: some }));
  if (all.length <= LANES) return all;
  const busy = new Set(all.toSorted((a, b) => b.spans.length - a.spans.length).slice(0, LANES - 1));
  const others = all.filter((lane) => !busy.has(lane));
  const together = others.flatMap((lane) => lane.spans).sort((a, b) => b.from - a.from);
  return [...all.filter((lane) => busy.has(lane)), { name: `${count(others.length)} others`, spans: together }];
}

// Where times are, in % of the width. Long times in which nothing starts or ends are `voids`, [from, to]: folded, or
// one long run would leave no room for many short ones.
function scaleOf(spans, first, last) {
  const moments = [...new Set(spans.flatMap(({ from, to }) => [from, to]).concat(last))].sort((a, b) => a - b);
  const gaps = moments.slice(1).map((to, index) => [moments[index], to]).sort(([a, b], [c, d]) => d - c - (b - a));
  const voids = [];
  let left = last - first;
  for (const [from, to] of gaps) {
    if (to - from < VOID * left || voids.length === 4 || to - from > left - 1) break;
    voids.push([from, to]);
    left -= to - from;
  }
  voids.sort(([a], [b]) => a - b);
  const wide = 100 - FOLDED * voids.length;
  const at = (time) => {
    let passed = time - first;
    let share = 0;
    for (const [from, to] of voids) {
      if (time <= from) break;
      const within = Math.min(time, to) - from;
      passed -= within;
      share += FOLDED * (within / (to - from));
    }
    return share + (passed / left) * wide;
  };
  return { at, voids, left };
}

// Round times between two, {at, text}, at most so many, and none where time is folded.
function ticksOf(first, last, { at: placeOf, voids, left }, most) {
  const step = STEPS.find((each) => left / each <= most) ?? STEPS.at(-1);
  const zone = new Date(first).getTimezoneOffset() * 60 * SECOND;
  const ticks = [];
  let day = "";
  let taken = -100; // % of the width, up to where there are words
  for (let at = Math.ceil((first - zone) / step) * step + zone; at <= last; at += step) {
    const hidden = voids.find(([from, to]) => from <= at && at < to);
    if (hidden) {
      at += Math.floor((hidden[1] - at) / step) * step;
      continue;
    }
    const time = new Date(at);
    const date = time.toLocaleDateString(undefined, { month: "short", day: "numeric" });
    const second = step < 60 * SECOND ? "2-digit" : undefined;
    const hour = time.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second, hourCycle: "h23" });
    const text = step >= DAY ? date : day && day !== date ? `${date}, ${hour}` : hour;
    day = date;
    const place = placeOf(at);
    if (place - taken < 60 / most || voids.some(([from]) => Math.abs(placeOf(from) - place) < 40 / most)) continue;
    taken = place;
    ticks.push({ at, text: place > 100 - 30 / most ? "" : text });
  }
  return ticks;
}

function placed(element, percent) {
  element.style.setProperty("--at", `${percent}%`);
  return element;
}
