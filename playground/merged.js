// The outputs of several tasks as one: lines in the order of their times, each with the name and colour of its task.

import { h, iconButton, setIcon } from "./dom.js";
import { lineAddress } from "./lineaddress.js";
import { LinesPane } from "./linespane.js";
import { MergedLog } from "./mergedlog.js";
import { say } from "./notices.js";
import { settle } from "./router.js";
import { mayWrite } from "./viewer.js";

const LONGEST = 20; // characters of a name beside its lines

export class Merged {
  /** `tasks`: {id, name} of those whose output the page follows; `grow`: called by its button. */
  constructor(app, tasks, grow) {
    this.#app = app;
    this.#taskIds = tasks.map(({ id }) => id);
    const sources = tasks.map(({ id, name }, hue) => ({ log: app.watch.follow(id), who: { name, hue } }));
    this.#log = new MergedLog(sources);
    const idOf = (number) => this.#lines.box.view.source.sourceOf(number)?.log.taskId;
    this.#lines = new LinesPane(this.#log, {
      label: "Lines of all outputs",
      file: "together.log",
      more: [],
      link: ({ seq }, number) => lineAddress(idOf(number), seq),
      chosen: ({ seq }, number) => seq > 0 && settle(lineAddress(idOf(number), seq)),
      who: (number) => this.#lines.box.view.source.sourceOf(number)?.who,
      jump: (time) => this.#goToTime(time),
      state: () => this.#state,
      keys: { m: grow },
    });
    const { box, tools } = this.#lines;
    this.#size = iconButton("grow", "Only this output", grow, { key: "M", kind: "quiet.only" });
    const legend = sources.map(({ who: { name, hue } }) => h(`span.who.hue-${hue}`, null, name));
    this.element = h(
      "section.pane.together",
      { "aria-label": "All outputs together" },
      h("header.pane-head", null, h("h3", { "aria-level": "2" }, "Together"), h("span.legend", null, legend), h("span.pane-acts", null, this.#size)),
      tools.element,
      box.element,
    );
    box.element.style.setProperty("--who", String(Math.min(LONGEST, Math.max(...tasks.map(({ name }) => name.length)))));
    this.#ends = this.#taskIds.map((taskId) => app.watch.listen(taskId, () => box.changed(this.#log.take())));
  }

  element;
  #app;
  #taskIds;
  #log;
  #lines;
  #size;
  #ends;

  focus() {
    this.#lines.box.focus();
  }

  showTask() {
    this.#lines.box.paint();
  }

  showGrown(on) {
    setIcon(this.#size.firstChild, on ? "shrink" : "grow");
    this.#size.setAttribute("aria-pressed", String(on));
  }

  destroy() {
    for (const end of this.#ends) end();
    this.#lines.destroy();
    this.element.remove();
  }

  get #state() {
    if (!this.#app.link.connected) return "offline";
    const { tasks } = this.#app.store;
    return this.#taskIds.some((id) => mayWrite(tasks.get(id))) ? "live" : "over";
  }

  #goToTime(time) {
    const number = this.#log.numberAt(Date.parse(time));
    if (number >= 0) this.#lines.box.goTo(number);
    else {
      say("All lines are from before that time: this is the end");
      this.#lines.box.toEnd();
    }
  }
}
