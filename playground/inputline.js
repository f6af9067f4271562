// The line below an output in which a running task is given something to read.

import { h } from "./dom.js";
import { attempt } from "./notices.js";
import { allowed } from "./auth.js";

const ABOUT = {
  pipe: "The task reads this line when Enter is pressed",
  pty: "Typed into the task's terminal when Enter is pressed",
};

export class InputLine {
  /** `leave`: called when Escape is pressed. */
  constructor(app, taskId, leave) {
    this.#app = app;
    this.#taskId = taskId;
    this.#leave = leave;
    this.#field = h("input", {
      type: "text",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      enterkeyhint: "send",
      placeholder: "Input, then Enter",
      "aria-label": `Input of ${taskId}`,
    });
    this.#interrupt = this.#key("Ctrl-C", "Interrupt what runs in the terminal", { data: "\u0003" });
    this.#end = this.#key("Ctrl-D", "End of input", { eof: true });
    this.element = h(
      "form.pane-input",
      { hidden: true, onsubmit: (event) => this.#submit(event) },
      this.#field,
      h("button", null, "Send"),
      this.#interrupt,
      this.#end,
    );
    this.#field.addEventListener("keydown", (event) => this.#pressed(event));
  }

  #app;
  #taskId;
  #leave;
  #field;
  #interrupt;
  #end;

  /** Be there for a task that takes input now, from who may give it. */
  showTask(task) {
    const takes = task?.status === "running" && this.#app.link.connected && allowed("input") ? task.stdin : "";
    this.element.hidden = !takes;
    this.#interrupt.hidden = takes !== "pty";
    this.#field.title = ABOUT[takes] ?? "";
  }

  #key(text, about, given) {
    return h("button.quiet", { type: "button", title: about, onclick: () => this.#give(given) }, text);
  }

  #pressed(event) {
    const key = event.ctrlKey && !event.altKey && !event.metaKey ? event.key : "";
    if (event.key === "Escape") this.#leave();
    else if (key === "d") this.#give({ eof: true });
    else if (key === "c" && !this.#interrupt.hidden && !this.#marked) {
      this.#give({ data: "\u0003" });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  get #marked() {
    return this.#field.selectionStart !== this.#field.selectionEnd;
  }

  async #submit(event) {
    event.preventDefault();
    const text = this.#field.value;
    if (await this.#give({ data: `${text}\n` }) && this.#field.value === text) this.#field.value = "";
  }

  // It may be a password: the console does not show it.
  #give(given) {
    const request = { type: "input", task_id: this.#taskId, ...given };
    const shown = given.data === undefined ? request : { ...request, data: "***" };
    return attempt(() => this.#app.link.request(request, { shown }));
  }
}
