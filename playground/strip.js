// The last runs of an action as a strip of bars, the newest at the right: how each went by its colour and its foot, how
// long it took by its height.

import { fill, h } from "./dom.js";
import { exactly, many } from "./format.js";
import { STATES } from "./states.js";
import { exitOf, lastedOf } from "./runwords.js";

const BARS = 20;
const LEAST = 18; // % of the height

export class Strip {
  constructor() {
    this.element = h("div.strip", { role: "img", "aria-label": "Runs" });
  }

  element;
  #shown = "";

  /** Show runs, the newest first, or undefined for not known yet; `now`: the server's time in ms. */
  show(runs, now) {
    if (!runs) return;
    const some = runs.slice(0, BARS).reverse();
    const key = JSON.stringify(some.map((run) => [run.run_id || run.task_id, run.status, run.started]));
    if (key === this.#shown) return;
    this.#shown = key;
    const longest = Math.max(1, ...some.map((run) => run.duration_ms ?? 0));
    const empty = Array.from({ length: BARS - some.length }, () => h("span.stroke"));
    fill(this.element, empty, some.map((run) => bar(run, longest, now)));
    const failed = some.filter(({ status }) => status === "failed" || status === "lost").length;
    const words = some.length ? `The last ${many(some.length, "run")}${failed ? `, ${failed} of them failed` : ""}` : "No runs so far";
    this.element.setAttribute("aria-label", words);
  }
}

function bar(run, longest, now) {
  const ran = lastedOf(run, now);
  const word = STATES[run.status]?.label ?? run.status;
  const took = run.status === "running" || ran === null ? "" : `, ${exactly(ran)}`;
  const exit = run.status === "failed" ? ` (${exitOf(run)})` : "";
  const element = h(`span.stroke.s-${run.status}`, { title: `${word}${exit}${took}` });
  element.style.setProperty("--high", `${run.status === "running" ? 100 : Math.max(LEAST, ((ran ?? 0) / longest) * 100)}%`);
  return element;
}
