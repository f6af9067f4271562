// The history: runs, lines in all logs, and one run with its output. Which run, and which of its lines, is in the
// page's address, so that it can be linked to and the browser's Back leads back.

import { fill, h, toggle } from "./dom.js";
import { Filters } from "./historyfilters.js";
import { Runs } from "./runs.js";
import { Lines, fieldsOf } from "./lines.js";
import { RunPage } from "./runpage.js";
import { addressOf, go, settle } from "./router.js";
import { runAddress } from "./runwords.js";

export class History {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    this.#filters = new Filters(app, () => this.#changed());
    this.#runs = new Runs(app, this.#filters, () => !place.hidden && !this.#lines.shown && !this.#run.shown);
    this.#run = new RunPage(app);
    this.#lines = new Lines(app, this.#filters, {
      open: (match, wanted) => {
        this.#run.wanted = wanted;
        go(runAddress(match, match.seq));
      },
      asked: () => settle(this.#listAddress),
    });
    this.#runsMode = toggle("Runs", "Runs of tasks", () => this.#choose(false));
    this.#linesMode = toggle("Search logs", "Search logs: what tasks have written", () => this.#choose(true));
    this.#list = h(
      "div.history",
      null,
      h("div.bar", null, h("h2.view-title", null, "History"), h("span.modes", null, this.#runsMode, this.#linesMode), this.#lines.tools, this.#filters.elements),
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

  /** Where it is, in the page's address. */
  get address() {
    return this.#run.shown ? this.#run.address : this.#listAddress;
  }

  get #listAddress() {
    return addressOf("history", [], { ...this.#filters.query, ...(this.#lines.shown ? this.#lines.fields : {}) });
  }

  /** Called when the view is shown, and when the page's address has changed. */
  shown({ path: [taskId = "", runId = "", seq = ""], fields }) {
    const was = this.#run.shown;
    this.#list.hidden = Boolean(runId);
    if (runId) this.#run.open(taskId, runId, { seq: Number(seq) || 0, at: fields.at });
    else {
      this.#run.close();
      this.#take(fields);
      if (was) this.restAt?.focus(); // where one was
    }
  }

  // The list as the address has it.
  #take(fields) {
    const toLines = fields.find !== undefined;
    const asked = this.#lines.shown && this.#listAddress === addressOf("history", [], fields);
    this.#filters.take(fields);
    if (toLines) this.#lines.take(fields);
    if (toLines !== this.#lines.shown) this.#turn(toLines);
    else if (!toLines) this.#runs.load({ anew: true });
    if (toLines && !asked) this.#lines.search();
  }

  /** Called when the view's tab is used while it is shown. */
  home() {
    if (this.#run.shown) go(this.#listAddress);
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
    field.select?.();
  }

  /** Show one task's runs, or all. */
  showTask(taskId) {
    go(addressOf("history", [], { task: taskId }));
  }

  /** Search the logs, of one task or all, for {text, regex, exact}. */
  search(wanted, taskId = "") {
    go(addressOf("history", [], { task: taskId, ...fieldsOf(wanted) }));
  }

  #changed() {
    settle(this.#listAddress);
    if (this.#lines.shown) this.#lines.search();
    else this.#runs.load({ anew: true });
  }

  #choose(toLines) {
    this.#turn(toLines);
    settle(this.#listAddress);
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
