// What the selected task uses of the machine, while it runs: figures, and how they went over the last two minutes.

import { h, setText } from "./dom.js";
import { bytes, many, percent } from "./format.js";

const EVERY = 2000; // ms between questions
const SAMPLES = 60;
const WIDTH = 120;
const HEIGHT = 28;
const SVG = "http://www.w3.org/2000/svg";

export class Usage {
  constructor(app) {
    this.#app = app;
    this.element = h(
      "figure.usage",
      { hidden: true, "aria-label": "What it uses" },
      this.#cpu.element,
      this.#memory.element,
      this.#rest,
    );
    setInterval(() => this.#ask(), EVERY);
  }

  #app;
  #cpu = new Sparkline("CPU");
  #memory = new Sparkline("Memory");
  #rest = h("figcaption");
  #taskId = "";
  #pid = 0;
  #samples = []; // {cpu, rss}, the latest last

  /** Follow a task, from this run on, or nothing. */
  show(task) {
    const runs = task?.status === "running" && task.current_pid;
    const [taskId, pid] = runs ? [task.task_id, task.current_pid] : ["", 0];
    if (taskId === this.#taskId && pid === this.#pid) return;
    [this.#taskId, this.#pid, this.#samples] = [taskId, pid, []];
    this.element.hidden = true; // until there is something to show
    this.#ask();
  }

  async #ask() {
    const [taskId, pid] = [this.#taskId, this.#pid];
    if (!taskId || document.hidden || !this.#app.link.connected || !this.element.isConnected) return;
    let usage;
    try {
      usage = (await this.#app.link.request({ type: "usage", task_id: taskId }, { own: true })).tasks[0];
    } catch {
      return; // gone, or an older server
    }
    if (!usage || taskId !== this.#taskId || pid !== this.#pid) return;
    this.#samples.push({ cpu: usage.cpu, rss: usage.rss });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#draw(usage);
  }

  #draw({ cpu, rss, processes, threads, read_bytes: read, write_bytes: written }) {
    this.element.hidden = false;
    this.#cpu.draw(cpu === undefined ? "…" : percent(cpu), this.#samples.map((sample) => sample.cpu ?? 0), 100);
    this.#memory.draw(bytes(rss), this.#samples.map((sample) => sample.rss), 1);
    const disk = read === undefined ? "" : `, ${bytes(read)} read and ${bytes(written)} written`;
    setText(this.#rest, `${many(processes, "process", "processes")}, ${many(threads, "thread")}${disk}`);
  }
}

class Sparkline {
  constructor(name) {
    this.#name = name;
    this.#picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#picture.setAttribute("preserveAspectRatio", "none");
    this.#picture.setAttribute("role", "img");
    this.#picture.append(this.#line);
    this.element = h("div.sparkline", null, h("span", null, name), this.#value, this.#picture);
  }

  #name;
  #value = h("b");
  #picture = document.createElementNS(SVG, "svg");
  #line = document.createElementNS(SVG, "polyline");

  /** `least`: what the picture's height stands for at least. */
  draw(text, values, least) {
    setText(this.#value, text);
    const top = Math.max(least, ...values);
    const points = values.map((value, at) => {
      const x = WIDTH - ((values.length - 1 - at) * WIDTH) / (SAMPLES - 1);
      return `${x.toFixed(1)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(1)}`;
    });
    this.#line.setAttribute("points", points.join(" "));
    this.#picture.setAttribute("aria-label", `${this.#name} over the last two minutes, now ${text}`);
  }
}
