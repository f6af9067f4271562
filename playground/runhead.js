// The head of a run's page: what it was, how it went, and what can be done with its output.

import { fill, h, icon, iconButton, named } from "./dom.js";
import { bytes, exactly, moment, paramsText } from "./format.js";
import { copyButton, idOf, nameOf, shortId } from "./names.js";
import { byOf, exitOf, lastedOf, statusOf } from "./runwords.js";

export class RunHead {
  /** `acts`: back, live, all, save and step (by), called by the buttons. */
  constructor(acts) {
    const act = (name, title, text, key) =>
      h(`button.act-${key}`, { type: "button", title, onclick: acts[key] }, icon(name), h("span", null, text));
    this.#live = act("output", "The task's output, live, with its input", "Live output", "live");
    this.#copy = copyButton("its title", () => this.#called);
    this.element = h(
      "header.run-head",
      null,
      act("back", "Back to the list (Esc)", "Runs", "back"),
      this.#status,
      h("span.run-name", null, this.#title, this.#copy, iconButton("older", "The run before", () => acts.step(-1), { key: "[" }), iconButton("newer", "The run after", () => acts.step(1), { key: "]" })),
      this.#id,
      h(
        "span.buttons",
        null,
        this.#live,
        act("history", "All runs of this task", "All its runs", "all"),
        act("save", "Download all of its lines", "Download", "save"),
      ),
      this.#facts,
    );
  }

  element;
  #live;
  #copy;
  #called = "";
  #status = h("span.run-status");
  #title = h("h2");
  #id = h("span.run-id");
  #facts = h("p.facts");

  /** Of this task, as long as no more is known. */
  begin(taskId) {
    this.#live.hidden = true;
    this.#called = taskId;
    fill(this.#title, named(shortId(taskId)));
    for (const each of [this.#status, this.#id, this.#facts]) fill(each);
  }

  /** Show a run; `now`: the server's time in ms; `store`: knows its action. */
  show(run, now, store) {
    const ran = lastedOf(run, now);
    const params = paramsText(run.params);
    const running = run.status === "running";
    const facts = [
      [h("time", { datetime: run.started }, moment(run.started))],
      ran === null ? [] : [running ? "for " : "ran ", exactly(ran)],
      [exitOf(run)],
      byOf(run.trigger),
      run.cpu_ms === undefined ? [] : [`${exactly(run.cpu_ms)} of CPU`],
      run.host ? [`on ${run.host}`] : [],
      run.max_rss === undefined ? [] : [`${bytes(run.max_rss)} of memory`],
    ].filter(([first = ""]) => first !== "");
    this.#live.hidden = !running;
    this.#called = nameOf(store, run);
    fill(this.#status, statusOf(run));
    fill(this.#title, named(this.#called), h("span.number", null, ` #${run.number}`));
    fill(this.#id, idOf(run.task_id));
    fill(
      this.#facts,
      facts.map((fact) => h("span", null, fact)),
      params ? h("code", { title: params }, params) : null,
    );
  }
}
