// The server at work over the last minutes, as charts with one crosshair, and its counters.

import { fill, h, inFrame } from "./dom.js";
import { Chart } from "./chart.js";
import { count } from "./format.js";

const COUNTERS = [
  ["tasks_started", "started"],
  ["tasks_completed", "exits"],
  ["tasks_restarted", "restarts"],
  ["tasks_errored", "errored"],
  ["total_output_lines", "lines"],
  ["enqueued", "queued"],
  ["displaced", "displaced"],
  ["expired", "expired"],
];

export class Pictures {
  constructor(app, place) {
    this.#app = app;
    this.element = place;
    this.#charts = [
      new Chart("Lines per second", [{ name: "lines/s", colour: "c1", of: perSecond("total_output_lines") }]),
      new Chart("Tasks", [
        { name: "running", colour: "c2", of: ({ running }) => running },
        { name: "queued", colour: "c3", of: ({ queued }) => queued },
      ]),
      new Chart("Starts and exits per second", [
        { name: "starts", colour: "c2", of: perSecond("tasks_started") },
        { name: "exits", colour: "c1", of: perSecond("tasks_completed") },
      ]),
      new Chart("Restarts and failures per second", [
        { name: "restarts", colour: "c3", of: perSecond("tasks_restarted") },
        { name: "errored", colour: "c4", of: perSecond("tasks_errored") },
      ]),
    ];
    for (const chart of this.#charts) chart.pointed = (at) => this.#charts.forEach((each) => each.point(at));
    this.#counters = h("dl.counters", { "aria-label": "Since the server started" });
    fill(
      place,
      this.#counters,
      h(
        "div.charts",
        null,
        this.#charts.map(({ element }) => element),
      ),
    );
    this.shown = inFrame(() => this.#draw());
    app.store.on("metrics", this.shown);
    new ResizeObserver(this.shown).observe(place);
  }

  element;
  #app;
  #charts;
  #counters;

  #draw() {
    if (!this.element.checkVisibility()) return;
    const { samples } = this.#app.store;
    const now = samples.at(-1);
    for (const chart of this.#charts) chart.draw(samples);
    if (now)
      fill(
        this.#counters,
        COUNTERS.map(([name, text]) => h("div", null, h("dt", null, text), h("dd", null, count(now[name])))),
      );
  }
}

// How fast a counter grows.
function perSecond(name) {
  return (sample, before) => Math.max(0, ((sample[name] - before[name]) * 1000) / (sample.at - before.at));
}
