// The form of one action, made from what `describe` says: parameters with their rules, and what a start may
// say besides. Remembers what was last given for as long as the page is there, and nowhere but in memory: who can
// tell what in it is a secret?

import { fill, h, icon, newId } from "./dom.js";
import { policyText } from "./format.js";
import { hasDefault, ParamField } from "./paramfield.js";
import { PolicyFields } from "./policyfields.js";
import { recall, remember } from "./prefs.js";
import { agreed, sayStarted, startTask } from "./starting.js";
import { nameOf, titleOf } from "./names.js";
import { allowed } from "./auth.js";

const given = new Map(); // action -> what its form said at the last start

/** Have the next form of an action show these parameters. */
export const prefill = (action, params) => given.set(action, { params });

export class ActionForm {
  constructor(app, action) {
    this.action = action;
    this.#app = app;
    this.#memory = given.get(action.name) ?? {};
    this.element = this.#build();
  }

  #app;
  #memory;
  #fields = new Map(); // parameter -> its ParamField
  #policy;
  #taskId;
  #force;
  #retry;
  #open;
  #problem;
  #button;

  /** To the first field that wants something, or to the button when nothing does. */
  focus() {
    const fields = [...this.#fields.values()];
    (fields.find((field) => field.fault) ?? fields[0] ?? this.#button).focus();
  }

  #build() {
    const { action } = this;
    const params = Object.entries(action.params ?? {});
    // Required ones first; the server's order else.
    params.sort(([, a], [, b]) => Number(hasDefault(a)) - Number(hasDefault(b)));
    this.#problem = h("div.problem", { role: "alert" });
    this.#button = h("button.primary", { disabled: !allowed("start") }, icon("run"), `Start ${titleOf(this.#app.store, action.name)}`);
    this.#open = h("input", { type: "checkbox" });
    this.#open.checked = recall("openStarted", true);
    this.#open.addEventListener("change", () => remember("openStarted", this.#open.checked));
    return h(
      "form",
      {
        novalidate: true,
        autocomplete: "off",
        onsubmit: (event) => this.#submit(event),
        onkeydown: (event) => this.#key(event),
      },
      params.map(([name, spec]) => this.#param(name, spec)),
      params.length ? null : h("p.hint", null, "This action takes no parameters."),
      this.#more(),
      this.#problem,
      h(
        "div.row.go",
        null,
        this.#button,
        h("label.check", null, this.#open, "Show its output"),
        allowed("start")
          ? h("span.hint.keys", null, "Enter or Ctrl+Enter starts it")
          : h("span.hint", null, "Your role cannot start tasks."),
      ),
    );
  }

  #param(name, spec) {
    const field = new ParamField(name, spec, this.#memory.params?.[name]);
    this.#fields.set(name, field);
    return field.element;
  }

  #more() {
    const { action } = this;
    const was = this.#memory;
    const idField = newId("task");
    this.#taskId = h("input", {
      id: idField,
      type: "text",
      maxlength: "256",
      spellcheck: "false",
      placeholder: "generated when empty",
      value: was.taskId ?? "",
    });
    this.#force = h("input", { type: "checkbox" });
    this.#force.checked = was.force === true;
    this.#retry = h("input", { type: "checkbox" });
    this.#retry.checked = was.policy !== undefined;
    this.#policy = new PolicyFields(was.policy);
    const showPolicy = () => (this.#policy.element.hidden = !this.#retry.checked);
    this.#retry.addEventListener("change", showPolicy);
    showPolicy();
    const isSet = was.taskId || was.force || was.policy !== undefined;
    return h(
      "details.more",
      { open: Boolean(isSet) },
      h("summary", null, "Task id, force, retry policy"),
      h("div.field", null, h("label", { for: idField }, "Task id"), this.#taskId),
      h(
        "label.check",
        null,
        this.#force,
        "Force: displace the oldest task that was not forced if the queue is full",
      ),
      h(
        "label.check",
        null,
        this.#retry,
        "Its own retry policy, instead of the action's",
        h("span.optional", null, policyText(action.retry)),
      ),
      this.#policy.element,
    );
  }

  #key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.element.requestSubmit();
    }
  }

  async #submit(event) {
    event.preventDefault();
    fill(this.#problem);
    const fields = [...this.#fields.values()];
    for (const field of fields) field.complain(field.fault);
    const wrong = fields.find((field) => field.fault);
    if (wrong) {
      wrong.focus();
      return;
    }
    const request = this.#request();
    given.set(this.action.name, this.#remembered());
    if (!(await agreed(this.#app, this.action.name))) return;
    this.#button.disabled = true;
    try {
      const reply = await startTask(this.#app, request, { open: this.#open.checked });
      sayStarted(this.#app, reply, nameOf(this.#app.store, request));
    } catch (error) {
      this.#refused(error);
    }
    this.#button.disabled = false;
  }

  /** What it is filled with, as far as it may be passed on: no secrets. */
  get shared() {
    return Object.fromEntries(Object.entries(this.#params).filter(([name]) => !this.#fields.get(name).isSecret));
  }

  get #params() {
    const params = {};
    for (const { name, given } of this.#fields.values()) if (given !== undefined) params[name] = given;
    return params;
  }

  #request() {
    const request = { type: "start", action: this.action.name, params: this.#params };
    const taskId = this.#taskId.value.trim();
    if (taskId) request.task_id = taskId;
    if (this.#force.checked) request.force = true;
    if (this.#retry.checked) request.retry_policy = this.#policy.given;
    return request;
  }

  #remembered() {
    return {
      params: this.shared,
      taskId: this.#taskId.value,
      force: this.#force.checked,
      policy: this.#retry.checked ? this.#policy.given : undefined,
    };
  }

  // The server's refusal goes to the field it is about.
  #refused(error) {
    const text = error.message;
    const names = (field) => text.includes(`parameter '${field.name}'`); // as drivers may put it
    const field = this.#fields.get(error.reply?.param) ?? (error.reply && [...this.#fields.values()].find(names));
    if (field) {
      field.refuse(text);
      return;
    }
    const other = error.reply?.existing_task_id;
    fill(
      this.#problem,
      text,
      other
        ? h(
            "button",
            { type: "button", onclick: () => this.#app.panes.open(other, { focus: true }) },
            "Show the existing task",
          )
        : null,
    );
  }
}
