// The history: runs, lines in all logs, and one run with its output. Which run, and which of its lines, is in the
// page's address, so that it can be linked to and the browser's Back leads back.

import { fill, h, toggle } from "./dom.js";
import { Filters } from "./historyfilters.js";
import { Runs } from "./runs.js";
import { Lines } from "./lines.js";
import { RunPage } from "./runpage.js";
import { addressOf } from "./runwords.js";

export class History {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    this.#filters = new Filters(app, () => this.#changed());
    this.#runs = new Runs(app, this.#filters, () => !place.hidden && !this.#lines.shown && !this.#run.shown);
    this.#run = new RunPage(app);
    this.#lines = new Lines(app, this.#filters, (match, wanted) => {
      this.#run.wanted = wanted;
      location.hash = addressOf(match, match.seq);
    });
    this.#runsMode = toggle("Runs", "Runs of tasks", () => this.#turn(false));
    this.#linesMode = toggle("Search logs", "Search what tasks have written", () => this.#turn(true));
    this.#list = h(
      "div.history",
      null,
      h("div.bar", null, h("span.modes", null, this.#runsMode, this.#linesMode), this.#lines.tools, this.#filters.elements),
      this.#runs.element,
      this.#lines.element,
    );
    fill(place, this.#list, this.#run.element);
    this.#turn(false);
  }

  #app;
  #place;
  #filters;
  #runs;
  #lines;
  #run;
  #runsMode;
  #linesMode;
  #list;

  /** Called when the view is shown, and when the page's address has changed. */
  shown() {
    const [, taskId = "", runId = "", seq = ""] = location.hash.slice(1).split("/").map(decoded);
    const was = this.#run.shown;
    this.#list.hidden = Boolean(runId);
    if (runId) this.#run.open(taskId, runId, Number(seq) || 0);
    else {
      this.#run.close();
      if (!this.#lines.shown) this.#runs.load();
      if (was) this.restAt?.focus(); // where one was
    }
  }

  /** Called when the view's tab is used while it is shown. */
  home() {
    if (this.#run.shown) location.hash = "#history";
  }

  /** Where keys are shortcuts. */
  get restAt() {
    return (this.#run.shown ? this.#run : this.#lines.shown ? this.#lines : this.#runs).restAt ?? undefined;
  }

  /** Leave the run that is shown, if one is. */
  escape() {
    if (!this.#run.shown) return false;
    this.home();
    return true;
  }

  focusSearch() {
    const field = this.#run.shown ? this.#run.search : this.#lines.shown ? this.#lines.query : this.#filters.task;
    field.focus();
    field.select();
  }

  /** Show one task's runs, or all. */
  showTask(taskId) {
    this.#turn(false);
    this.#filters.clear(taskId);
    this.#go();
  }

  /** Search the logs, of one task or all, for {text, regex, exact}. */
  search(wanted, taskId = "") {
    this.#turn(true);
    this.#lines.want(wanted);
    if (!this.#filters.clear(taskId)) this.#lines.search();
    this.#go();
  }

  #go() {
    if (this.#run.shown) location.hash = "#history";
    else if (this.#app.view !== "history") this.#app.show("history");
  }

  #changed() {
    if (this.#lines.shown) this.#lines.search();
    else if (!this.#place.hidden) this.#runs.load({ anew: true });
  }

  #turn(toLines) {
    this.#runsMode.setAttribute("aria-pressed", String(!toLines));
    this.#linesMode.setAttribute("aria-pressed", String(toLines));
    this.#lines.show(toLines);
    this.#runs.element.hidden = toLines;
    for (const only of [this.#filters.status, this.#filters.reason]) only.hidden = toLines;
    if (toLines) this.#lines.query.focus();
    else if (!this.#place.hidden) this.#runs.load();
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
