// The past out of the history: how many runs there were, how they ended, how long they took, in all and by action.

import { fill, h, setText } from "./dom.js";
import { count, duration, exactly, fieldTime, many, sentence } from "./format.js";
import { titleOf } from "./names.js";
import { PastChart } from "./pastchart.js";
import { endOfPart, OUTCOMES, pastRuns } from "./pastruns.js";
import { PastStrip } from "./paststrip.js";
import { addressOf, go } from "./router.js";

const AGAIN = 15_000; // ms between two looks
const COLOURS = { succeeded: "done" };
const HEADS = ["Action", "When", "Runs", "Failed", "Half up to", "19 in 20 up to", "Together"];

export class Past {
  /** `choose` (action): called with the one that is to be looked at. */
  constructor(app, choose) {
    this.#app = app;
    this.#choose = choose;
    const point = (at) => this.#point(at);
    const open = (part) => this.#open(part);
    this.#runs = new PastChart(
      "Runs",
      OUTCOMES.map((name) => ({ name, colour: COLOURS[name] ?? name, of: (part) => part[name] })),
      { bars: true, text: (value) => count(Math.round(value)), point, choose: open },
    );
    this.#together = new PastChart(
      "Time they took together",
      [{ name: "of all runs", colour: "c2", of: ({ duration_ms: ms }) => ms }],
      { bars: true, time: true, text: (value) => (value ? duration(value) : "–"), point, choose: open },
    );
    this.#took = new PastChart(
      "How long they took",
      [
        { name: "half of them up to", colour: "c2", of: ({ median_ms: ms }) => ms ?? 0 },
        { name: "19 in 20 up to", colour: "c3", of: ({ p95_ms: ms }) => ms ?? 0 },
      ],
      { bars: false, time: true, text: (value) => (value ? exactly(value) : "–"), point, choose: open },
    );
    this.#charts = [this.#runs, this.#together, this.#took];
    this.element = h(
      "div.past",
      { hidden: true },
      this.#figures,
      this.#note,
      h("div.charts", null, this.#charts.map(({ element }) => element)),
      this.#table,
    );
    new ResizeObserver(() => this.#redraw()).observe(this.element);
    app.link.on("status", ({ state }) => state === "open" && this.load());
    setInterval(() => document.hidden || this.load(), AGAIN);
  }

  element;
  #app;
  #choose;
  #runs;
  #together;
  #took;
  #charts;
  #figures = h("dl.figures", { "aria-label": "In all of that time" });
  #note = h("p.hint", { role: "status" });
  #table = h("div.by-action");
  #rows = new Map(); // action -> its row
  #parts = [];
  #wanted = { ms: 0, parts: 0, action: "" };
  #asked = 0;

  /** Show the last `ms` in `parts`, of an action or of all (""). */
  show(wanted) {
    const other = JSON.stringify(wanted) !== JSON.stringify(this.#wanted);
    if (other) this.element.setAttribute("aria-busy", "true"); // what is there is of another time, or action
    this.#wanted = wanted;
    this.element.hidden = false;
    this.#together.element.hidden = Boolean(wanted.action);
    this.#took.element.hidden = !wanted.action;
    this.load();
  }

  async load() {
    const { link } = this.#app;
    if (this.element.hidden || !this.element.checkVisibility() || !link.connected) return;
    this.#asked += 1;
    const mine = this.#asked;
    const { ms, parts, action } = this.#wanted;
    const until = endOfPart(link.now, ms / parts); // so that bars do not creep
    try {
      const past = await pastRuns(link, { since: until - ms, until, action, parts });
      if (mine === this.#asked) this.#draw(past);
    } catch (error) {
      if (mine !== this.#asked || !link.connected) return;
      this.element.removeAttribute("aria-busy");
      const none = /data_dir/.test(error.message);
      setText(this.#note, none ? "The server keeps no history: with data_dir in its configuration it shows hours and days here." : sentence(error.message));
      this.element.classList.add("is-empty");
    }
  }

  #draw({ parts, actions, total }) {
    const { now } = this.#app.link;
    this.#parts = parts;
    this.element.removeAttribute("aria-busy");
    this.element.classList.toggle("is-empty", !actions.length);
    setText(this.#note, actions.length ? "" : "Nothing ran in this time.");
    const ended = total.runs - total.running;
    const fine = ended ? `${Math.floor((1000 * total.succeeded) / ended) / 10} %` : "–";
    const figures = [
      ["runs", count(total.runs)],
      ["succeeded", fine],
      ["failed", count(total.failed + total.lost), total.failed + total.lost ? "bad" : ""],
      ["took together", duration(total.duration_ms)],
    ];
    fill(this.#figures, figures.map(([name, value, kind]) => h("div", null, h("dt", null, name), h(kind ? `dd.${kind}` : "dd", null, value))));
    for (const chart of this.#charts) chart.show(parts, now);
    this.#fillTable(actions);
  }

  #fillTable(actions) {
    const rows = new Map(actions.map((sums) => [sums.action, this.#row(sums)]));
    this.#rows = rows;
    const heads = HEADS.map((text) => h("th", { scope: "col" }, text));
    fill(this.#table, h("table", null, h("thead", null, h("tr", null, heads)), h("tbody", null, [...rows.values()].map(({ element }) => element))));
  }

  #row({ action, runs, failed, lost, median_ms: median, p95_ms: p95, duration_ms: ms, parts }) {
    const bad = failed + lost;
    const chosen = action === this.#wanted.action;
    const strip = new PastStrip((at) => this.#point(at), (at) => this.#open(this.#parts[at], action));
    strip.show(parts, this.#parts.length);
    const press = () => this.#choose(chosen ? "" : action);
    const name = h("button.quiet", { type: "button", "aria-pressed": String(chosen), onclick: press }, titleOf(this.#app.store, action));
    const element = h(
      chosen ? "tr.chosen" : "tr",
      null,
      h("th", { scope: "row" }, name),
      h("td.over-time", null, strip.element),
      h("td", { title: many(runs, "run") }, count(runs)),
      h(bad ? "td.bad" : "td", null, bad ? `${count(bad)} (${Math.round((100 * bad) / runs)} %)` : "–"),
      h("td", null, median === undefined ? "–" : exactly(median)),
      h("td", null, p95 === undefined ? "–" : exactly(p95)),
      h("td", null, ms ? exactly(ms) : "–"),
    );
    return { element, strip };
  }

  #point(at) {
    for (const chart of this.#charts) chart.point(at);
    for (const { strip } of this.#rows.values()) strip.point(at);
  }

  #redraw() {
    for (const chart of this.#charts) chart.redraw();
    for (const { strip } of this.#rows.values()) strip.redraw();
  }

  // The runs of a part of the time, one by one.
  #open({ from, to }, action = this.#wanted.action) {
    const { skew } = this.#app.link;
    go(addressOf("history", [], { action, from: fieldTime(from + skew), until: fieldTime(to + skew) }));
  }
}
