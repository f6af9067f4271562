// The past out of the history: how many runs there were, how they ended, how long they took, in all and by action.

import { fill, h } from "./dom.js";
import { count, exactly, fieldTime, many, sentence } from "./format.js";
import { titleOf } from "./names.js";
import { PastChart } from "./pastchart.js";
import { pastRuns, quantile } from "./pastruns.js";
import { addressOf, go } from "./router.js";

const AGAIN = 15_000; // ms between two looks

export class Past {
  /** `choose` (action): called with the one that is to be looked at. */
  constructor(app, choose) {
    this.#app = app;
    this.#choose = choose;
    const of = (name) => (part) => part.counts[name] ?? 0;
    const point = (at) => this.#charts.forEach((chart) => chart.point(at));
    const open = ({ from, to }) =>
      go(addressOf("history", [], { action: this.#wanted.action, from: fieldTime(from + app.link.skew), until: fieldTime(to + app.link.skew) }));
    this.#charts = [
      new PastChart(
        "Runs",
        [
          { name: "succeeded", colour: "succeeded", of: of("succeeded") },
          { name: "running", colour: "running", of: of("running") },
          { name: "stopped", colour: "stopped", of: of("stopped") },
          { name: "lost", colour: "lost", of: of("lost") },
          { name: "failed", colour: "failed", of: of("failed") },
        ],
        { bars: true, text: (value) => count(Math.round(value)), point, choose: open },
      ),
      new PastChart(
        "How long they took",
        [
          { name: "half of them up to", colour: "c2", of: ({ took }) => quantile(took, 0.5) },
          { name: "19 in 20 up to", colour: "c3", of: ({ took }) => quantile(took, 0.95) },
        ],
        { bars: false, text: (value) => (value ? exactly(value) : "–"), point, choose: open },
      ),
    ];
    this.element = h("div.past", { hidden: true }, this.#note, h("div.charts", null, this.#charts.map(({ element }) => element)), this.#table);
    new ResizeObserver(() => this.#charts.forEach((chart) => chart.redraw())).observe(this.element);
    app.link.on("status", ({ state }) => state === "open" && this.load());
    setInterval(() => document.hidden || this.load(), AGAIN);
  }

  element;
  #app;
  #choose;
  #charts;
  #note = h("p.hint", { role: "status" });
  #table = h("div.by-action");
  #wanted = { ms: 0, parts: 0, action: "" };
  #asked = 0;

  /** Show the last `ms` in `parts`, of an action or of all ("" ). */
  show(wanted) {
    this.#wanted = wanted;
    this.element.hidden = false;
    this.load();
  }

  async load() {
    const { link } = this.#app;
    if (this.element.hidden || !this.element.checkVisibility() || !link.connected) return;
    this.#asked += 1;
    const mine = this.#asked;
    const { ms, parts, action } = this.#wanted;
    const long = ms / parts;
    const until = Math.ceil(link.now / long) * long; // so that bars do not creep
    try {
      const past = await pastRuns(link, { since: until - ms, until, action, parts }, () => mine === this.#asked);
      if (past && mine === this.#asked) this.#draw(past);
    } catch (error) {
      if (mine !== this.#asked || !link.connected) return;
      const none = /data_dir/.test(error.message);
      fill(this.#note, none ? "The server keeps no history: with data_dir in its configuration it shows hours and days here." : sentence(error.message));
      this.#table.replaceChildren();
    }
  }

  #draw({ parts, actions, whole, total }) {
    const { now } = this.#app.link;
    fill(this.#note, whole ? many(total, "run") : `The latest ${many(total, "run")}: earlier ones are left out`);
    for (const chart of this.#charts) chart.show(parts, now);
    const rows = [...actions].sort(([, one], [, other]) => other.runs - one.runs);
    const row = ([name, { runs, counts, took }]) => {
      const failed = counts.failed + counts.lost;
      return h(
        "tr",
        null,
        h("th", { scope: "row" }, h("button.quiet", { type: "button", onclick: () => this.#choose(name) }, titleOf(this.#app.store, name))),
        h("td", null, count(runs)),
        h(failed ? "td.bad" : "td", null, failed ? `${count(failed)} (${Math.round((100 * failed) / runs)} %)` : "–"),
        h("td", null, took.length ? exactly(quantile(took, 0.5)) : "–"),
        h("td", null, took.length ? exactly(quantile(took, 0.95)) : "–"),
      );
    };
    const heads = ["Action", "Runs", "Failed", "Half up to", "19 in 20 up to"].map((text) => h("th", { scope: "col" }, text));
    fill(this.#table, rows.length ? h("table", null, h("thead", null, h("tr", null, heads)), h("tbody", null, rows.map(row))) : null);
  }
}
