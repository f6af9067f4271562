// Runs over time: a lane for each task, or action of tasks without a name of their own, so that what overlapped, failed or was often restarted is seen at a glance.

import { h, named } from "./dom.js";
import { duration, isUuid, many, moment } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const LANES = 8;

/** A figure; `looks` names the colour of each status, `now` is the server's time in ms. */
export function timeline(runs, looks, now) {
  const spans = runs.map((run) => {
    const from = Date.parse(run.started);
    const to = run.status === "lost" ? from : run.ended ? Date.parse(run.ended) : Math.max(now, from);
    return { run, from, to: Math.max(from, to) };
  });
  const first = Math.min(...spans.map(({ from }) => from));
  const last = Math.max(...spans.map(({ to }) => to), first + 1000);
  const lanes = new Map();
  for (const span of spans) {
    const { task_id: taskId, action } = span.run;
    const name = isUuid(taskId) ? action : taskId;
    if (!lanes.has(name)) lanes.set(name, []);
    lanes.get(name).push(span);
  }
  const shown = [...lanes].slice(0, LANES);
  const left = lanes.size - shown.length;
  const at = (time) => ((time - first) / (last - first)) * 100;
  const label = `${many(runs.length, "run")} in ${duration(last - first)}: ${[...lanes.keys()].slice(0, LANES).join(", ")}`;
  return h(
    "figure.lanes",
    { role: "img", "aria-label": label },
    shown.map(([name, each]) => [h("span.lane-name", { title: name }, named(name)), lane(each, at, looks)]),
    h(
      "figcaption",
      null,
      h("span", null, moment(new Date(first).toISOString())),
      left ? h("span", null, `and ${many(left, "other")}`) : null,
      h("span", null, moment(new Date(last).toISOString())),
    ),
  );
}

function lane(spans, at, looks) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "lane");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const { run, from, to } of spans) {
    const bar = document.createElementNS(SVG, "rect");
    // At least so wide that it is seen, and not beyond the end.
    const wide = Math.max(0.6, at(to) - at(from));
    const title = document.createElementNS(SVG, "title");
    title.textContent = `#${run.number} ${run.status}`;
    for (const [name, value] of Object.entries({
      class: `s-${looks[run.status] ?? "stopped"}`,
      x: `${Math.min(at(from), 100 - wide)}%`,
      width: `${wide}%`,
      y: "15%",
      height: "70%",
      rx: "2",
    })) {
      bar.setAttribute(name, value);
    }
    bar.append(title);
    bar.addEventListener("click", () => document.getElementById(`run-${run.run_id}`)?.scrollIntoView({ block: "center" }));
    svg.append(bar);
  }
  return svg;
}
