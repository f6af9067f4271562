// One parameter as a field of an action's form: the control that its declaration asks for, what it is for, and what
// is wrong with it, before the server has looked and after.

import { h, newId, setText } from "./dom.js";

const INTEGER = /^(0|-?[1-9][0-9]*)$/;
const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/;
const PLAIN = /^[\x20-\x7e\n]*$/; // on which RE2 and JavaScript agree

/** Whether a start may leave it out. */
export const hasDefault = (spec) => typeof spec?.default === "string";

export class ParamField {
  /** `last`: what was given last time, if anything. */
  constructor(name, spec, last) {
    this.name = name;
    this.#spec = spec ?? {};
    this.#id = newId("param");
    this.#control = this.#makeControl(last ?? this.#spec.default, last ?? "");
    this.#problem = h("p.problem", { id: `${this.#id}-problem` });
    this.#control.addEventListener("input", () => this.complain(""));
    this.#control.addEventListener("change", () => this.#isEmpty || this.complain(this.fault));
    this.element = this.#build();
  }

  #spec;
  #id;
  #control;
  #problem;
  #ruleLine;

  /** The text to send; undefined when it is left to the server's default, or not there. */
  get given() {
    const { type } = this.#spec;
    if (type === "boolean") return this.#unlessDefault(String(this.#control.checked));
    return this.#isList ? this.#unlessDefault(this.#control.value) : this.#control.value || undefined;
  }

  /** Whether the value must not be shown. */
  get isSecret() {
    return this.#spec.type === "secret";
  }

  /** What is wrong, as far as can be seen from here; "" when nothing is. */
  get fault() {
    if (this.#control.validity.badInput) return `Must be ${this.#expected}.`;
    const { given } = this;
    if (given === undefined) return hasDefault(this.#spec) ? "" : "Required.";
    return this.#faultOf(given);
  }

  /** Show what the server, or we, have against it; "" takes it back. */
  complain(text) {
    setText(this.#problem, text);
    const { validate, pattern } = this.#spec;
    const rules = [validate, pattern, this.#isNumber && this.#expected];
    this.#ruleLine.hidden = rules.some((rule) => rule && text.includes(rule)); // not twice
    if (text) this.#control.setAttribute("aria-invalid", "true");
    else this.#control.removeAttribute("aria-invalid");
  }

  /** Show the server's refusal, without the name that stands here anyway. */
  refuse(message) {
    const said = message.replace(`parameter '${this.name}'`, "").replace(/^[:\s]+/, "");
    this.complain(said.charAt(0).toUpperCase() + said.slice(1));
    this.focus();
  }

  focus() {
    this.#control.focus();
  }

  get #isEmpty() {
    return this.#control.value === "" && !this.#control.validity.badInput;
  }

  get #isList() {
    return this.#spec.choices !== undefined;
  }

  get #isNumber() {
    return !this.#isList && (this.#spec.type === "integer" || this.#spec.type === "number");
  }

  #unlessDefault(value) {
    return value === this.#spec.default || value === "" ? undefined : value;
  }

  #build() {
    const { type, description } = this.#spec;
    const shown = type === "boolean" || this.#isList ? null : this.#spec.default;
    const label = h(
      "label",
      { for: this.#id },
      this.name,
      hasDefault(this.#spec)
        ? typeof shown === "string" && h("span.optional", null, "default ", h("code", null, shown || '""'))
        : type !== "boolean" && h("span.required", null, "required"),
    );
    this.#ruleLine = h("p.rule", { id: `${this.#id}-rule` }, this.#rule());
    const parts = [
      suggestions(this.#spec, this.#id),
      h("p.about", { id: `${this.#id}-about` }, description),
      this.#ruleLine,
      this.#problem,
    ];
    if (type === "boolean") return h("div.field", null, h("div.switch", null, this.#control, label), parts);
    return h("div.field", null, label, this.#control, parts);
  }

  // `value` is what it has at first, `last` what was typed into it.
  #makeControl(value, last) {
    const { type, min, max, multiline } = this.#spec;
    const fallback = this.#spec.default;
    const attributes = {
      id: this.#id,
      name: this.name,
      "aria-required": String(!hasDefault(this.#spec) && type !== "boolean"),
      "aria-describedby": ["about", "rule", "problem"].map((part) => `${this.#id}-${part}`).join(" "),
    };
    if (type === "boolean") {
      const box = h("input", { type: "checkbox", role: "switch", ...attributes });
      box.checked = value === "true";
      return box;
    }
    if (this.#isList) return h("select", attributes, this.#options(value));
    const placeholder = typeof fallback === "string" ? fallback || "(empty)" : "";
    const typed = { ...attributes, placeholder, spellcheck: "false", autocapitalize: "off", value: last };
    if (type === "secret") {
      const unsaved = { ...typed, autocomplete: "new-password" }; // nor filled in from another site's
      return multiline
        ? h("textarea.hidden-text", { ...unsaved, rows: "4" })
        : h("input", { type: "password", ...unsaved });
    }
    if (this.#isNumber) {
      const whole = type === "integer";
      return h("input", {
        type: "number",
        step: whole ? "1" : "any",
        min: whole && min !== undefined ? Math.ceil(min) : min,
        max: whole && max !== undefined ? Math.floor(max) : max,
        inputmode: min >= 0 ? (whole ? "numeric" : "decimal") : null, // which have no minus on some phones
        ...typed,
      });
    }
    if (multiline || `${fallback}${last}`.includes("\n")) return h("textarea", { ...typed, rows: "4" });
    const list = suggested(this.#spec) ? `${this.#id}-choices` : null;
    return h("input", { type: "text", list, ...typed });
  }

  #options(value) {
    const none = h("option", { value: "", disabled: true, selected: true }, "Choose one");
    const options = this.#spec.choices.map((choice) =>
      h("option", { value: choice.value, selected: choice.value === value }, choice.title ?? choice.value),
    );
    return hasDefault(this.#spec) ? options : [none, ...options];
  }

  #rule() {
    const { message, pattern, validate } = this.#spec;
    if (message) return null;
    if (validate) return ["must satisfy: ", h("code", null, validate)];
    if (pattern) return ["must match: ", h("code", null, pattern)];
    return this.#isNumber ? this.#expected : null;
  }

  get #expected() {
    const { type, min, max } = this.#spec;
    const what = type === "integer" ? "a whole number" : "a number";
    if (min !== undefined && max !== undefined) return `${what} from ${min} to ${max}`;
    if (min !== undefined) return `${what}, ${min} or more`;
    return max === undefined ? what : `${what}, ${max} or less`;
  }

  #faultOf(text) {
    const { type, min, max, pattern, message } = this.#spec;
    if (this.#isNumber) {
      const form = type === "integer" ? INTEGER : NUMBER;
      const number = Number(text);
      if (!form.test(text) || number < min || number > max) return `Must be ${this.#expected}.`;
    }
    if (type === "path" && text.startsWith("-")) return `Write ./${text}, or it would be taken for an option.`;
    if (pattern && PLAIN.test(text) && !matches(pattern, text)) return message || `Must match ${pattern}`;
    return "";
  }
}

// Whether the whole text matches; what only RE2 understands is left to the server.
function matches(pattern, text) {
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(text);
  } catch {
    return true;
  }
}

// A list of what may be typed, or null.
function suggestions(spec, id) {
  const values = suggested(spec);
  if (!values) return null;
  return h(
    "datalist",
    { id: `${id}-choices` },
    values.map((value) => h("option", { value })),
  );
}

// The values of a rule like value in ["480", "720"].
function suggested(spec) {
  const list = /^\s*value\s+in\s+(\[[^\]]*\])\s*$/.exec(spec.validate ?? "")?.[1];
  if (!list || spec.type || spec.multiline) return null;
  try {
    const values = JSON.parse(list.replace(/'/g, '"'));
    return values.every((value) => typeof value === "string") ? values : null;
  } catch {
    return null;
  }
}
