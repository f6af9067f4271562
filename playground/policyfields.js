// The fields of a retry policy that a start brings along.

import { h, newId } from "./dom.js";

const POLICY = [
  ["restart_delay", "Delay before a restart", "5s"],
  ["restart_jitter", "Random extra delay", "0s"],
  ["restart_factor", "Multiply it each time by", "2"],
  ["restart_max_delay", "But no longer than", "1m"],
  ["restart_reset", "Back to the first delay after a run of", "5m"],
  ["error_window", "Count exits within", "10m"],
  ["error_threshold", "Give up after exits", "3"],
];

const NUMBERS = ["error_threshold", "restart_factor"];

export class PolicyFields {
  /** `was`: the policy given last time, if there was one. */
  constructor(was = {}) {
    this.element = h("div.policy");
    for (const [name, label, example] of POLICY) {
      const attributes = {
        type: "text",
        spellcheck: "false",
        placeholder: `such as ${example}`,
        value: was[name] ?? "",
      };
      this.#add(name, label, h("input", { id: newId("policy"), ...attributes }));
    }
    const options = [h("option", { value: "" }, "any exit"), h("option", { value: "failure" }, "a failure only")];
    const select = h("select", { id: newId("policy") }, options);
    select.value = was.restart_on ?? "";
    this.#add("restart_on", "Restart after", select);
  }

  #inputs = new Map();

  /** The policy as the fields say it; durations and numbers are for the server to judge. */
  get given() {
    const policy = {};
    for (const [name, { value }] of this.#inputs) {
      const text = value.trim();
      if (text) policy[name] = NUMBERS.includes(name) && /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    }
    return policy;
  }

  #add(name, label, input) {
    this.#inputs.set(name, input);
    this.element.append(h("div.field", null, h("label", { for: input.id }, label), input));
  }
}
