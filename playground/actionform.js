// The form of one action, made from what `describe` says: parameters with their rules, and what a start may
// say besides. Remembers what was last given for as long as the page is there, and nowhere but in memory: who can
// tell what in it is a secret?

import { fill, h, icon, named, newId, setText } from "./dom.js";
import { policyText } from "./format.js";
import { Lost } from "./link.js";
import { say } from "./notices.js";
import { PolicyFields } from "./policyfields.js";
import { recall, remember } from "./prefs.js";
import { startTask } from "./taskactions.js";
import { allowed } from "./auth.js";

const given = new Map(); // action -> what its form said at the last start

export class ActionForm {
  constructor(app, action) {
    this.action = action;
    this.#app = app;
    this.#memory = given.get(action.name) ?? {};
    this.element = this.#build();
  }

  #app;
  #memory;
  #fields = new Map(); // parameter -> {input, problem, spec}
  #policy;
  #taskId;
  #force;
  #retry;
  #open;
  #problem;
  #button;

  /** To the first field that wants something, or to the button when nothing does. */
  focus() {
    for (const { input, spec } of this.#fields.values()) {
      if (!input.value && !hasDefault(spec)) {
        input.focus();
        return;
      }
    }
    const first = this.#fields.values().next().value;
    (first?.input ?? this.#button).focus();
  }

  #build() {
    const { action } = this;
    const params = Object.entries(action.params ?? {});
    // Required ones first; the server's order else.
    params.sort(([, a], [, b]) => Number(hasDefault(a)) - Number(hasDefault(b)));
    this.#problem = h("div.problem", { role: "alert" });
    this.#button = h("button.primary", { disabled: !allowed("start") }, icon("run"), `Start ${action.name}`);
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
        h("span.hint", null, allowed("start") ? "Enter or Ctrl+Enter starts it" : "Your role cannot start tasks."),
      ),
    );
  }

  #param(name, spec) {
    const id = newId("param");
    const fallback = hasDefault(spec) ? spec.default : null;
    const choices = choicesOf(spec?.validate);
    const last = this.#memory.params?.[name] ?? "";
    const attributes = {
      id,
      name,
      placeholder: fallback === null ? "" : fallback || "(empty)",
      "aria-required": String(fallback === null),
      "aria-describedby": `${id}-rule ${id}-problem`,
      spellcheck: "false",
      list: choices ? `${id}-choices` : null,
      value: last,
    };
    const long = (fallback ?? "").includes("\n") || last.includes("\n");
    const input = long
      ? h("textarea", { ...attributes, rows: "4", list: null })
      : h("input", { type: "text", ...attributes });
    const problem = h("p.problem", { id: `${id}-problem` });
    input.addEventListener("input", () => this.#complain(name, ""));
    this.#fields.set(name, { input, problem, spec });
    return h(
      "div.field",
      null,
      h(
        "label",
        { for: id },
        name,
        fallback === null
          ? h("span.required", null, "required")
          : h("span.optional", null, "default ", h("code", null, fallback || '""')),
      ),
      input,
      choices
        ? h(
            "datalist",
            { id: `${id}-choices` },
            choices.map((value) => h("option", { value })),
          )
        : null,
      h("p.rule", { id: `${id}-rule` }, spec?.validate ? ["must satisfy: ", h("code", null, spec.validate)] : null),
      problem,
    );
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

  // What the server, or we, have against a parameter; "" takes it back.
  #complain(name, text) {
    const { input, problem } = this.#fields.get(name);
    setText(problem, text);
    input.toggleAttribute("aria-invalid", text !== "");
    if (text) input.setAttribute("aria-invalid", "true");
  }

  async #submit(event) {
    event.preventDefault();
    fill(this.#problem);
    const missing = [...this.#fields].filter(([name, { input, spec }]) => {
      const lacks = !input.value && !hasDefault(spec);
      this.#complain(name, lacks ? "Required." : "");
      return lacks;
    });
    if (missing.length) {
      missing[0][1].input.focus();
      return;
    }
    const request = this.#request();
    given.set(this.action.name, this.#remembered());
    this.#button.disabled = true;
    try {
      const reply = await startTask(this.#app, request, { open: this.#open.checked });
      const id = named(reply.task_id);
      say(reply.type === "queued" ? ["Queued as ", id, `, position ${reply.position}`] : ["Started as ", id]);
    } catch (error) {
      this.#refused(error);
    }
    this.#button.disabled = false;
  }

  #request() {
    const params = {};
    for (const [name, { input }] of this.#fields) if (input.value) params[name] = input.value;
    const request = { type: "start", action: this.action.name, params };
    const taskId = this.#taskId.value.trim();
    if (taskId) request.task_id = taskId;
    if (this.#force.checked) request.force = true;
    if (this.#retry.checked) request.retry_policy = this.#policy.given;
    return request;
  }

  #remembered() {
    const params = {};
    for (const [name, { input }] of this.#fields) if (input.value) params[name] = input.value;
    return {
      params,
      taskId: this.#taskId.value,
      force: this.#force.checked,
      policy: this.#retry.checked ? this.#policy.given : undefined,
    };
  }

  // The server's refusal goes to the field it is about.
  #refused(error) {
    const text = error.message;
    const named = [...this.#fields.keys()].filter(
      (name) => text.includes(`parameter '${name}'`) || text.includes(`parameter "${name}"`),
    );
    if (named.length && !(error instanceof Lost)) {
      this.#complain(named[0], text);
      this.#fields.get(named[0]).input.focus();
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

const hasDefault = (spec) => typeof spec?.default === "string";

// The values of a rule like value in ["480", "720"], to be offered.
function choicesOf(rule) {
  const list = /^\s*value\s+in\s+(\[[^\]]*\])\s*$/.exec(rule ?? "")?.[1];
  if (!list) return null;
  try {
    const values = JSON.parse(list.replace(/'/g, '"'));
    return values.every((value) => typeof value === "string") ? values : null;
  } catch {
    return null;
  }
}
