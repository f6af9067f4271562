// A form for any request, made from the manifest; it writes the message below, which can be edited and is
// what is sent.

import { fill, h, icon, newId, setText } from "./dom.js";
import { attempt, say } from "./notices.js";
import { allowed } from "./auth.js";

export class Composer {
  constructor(app, manifest) {
    this.#app = app;
    this.#manifest = manifest;
    const types = Object.entries(manifest.messages)
      .filter(([type, { direction }]) => direction === "c2s" && allowed(type))
      .map(([type]) => type);
    const id = newId("type");
    const textId = newId("text");
    this.#type = h(
      "select",
      { id },
      types.map((type) => h("option", null, type)),
    );
    this.#type.value = "describe";
    this.#type.addEventListener("change", () => this.#draw());
    this.#about = h("p.hint");
    this.#fields = h("div.fields");
    this.#text = h("textarea", { id: textId, rows: "8", spellcheck: "false" });
    this.element = h(
      "form.composer",
      {
        "aria-label": "Send a message",
        autocomplete: "off",
        onsubmit: (event) => this.#send(event),
        onkeydown: (event) => this.#key(event),
      },
      this.#fold,
      h("div.field", null, h("label", { for: id }, "Request"), this.#type),
      this.#about,
      this.#fields,
      h("div.field.grow", null, h("label", { for: textId }, "Message"), this.#text),
      h("div.row", null, h("button.primary", { title: "Ctrl+Enter" }, icon("send"), "Send")),
    );
    this.#draw();
  }

  #fold = h("button.fold", { type: "button", "aria-expanded": "false", onclick: () => this.#unfold() }, icon("up"), "Send a request"); // on phones
  #app;
  #manifest;
  #type;
  #about;
  #fields;
  #text;
  #inputs = new Map(); // field -> {input, kind}
  #number = 0;

  #unfold() {
    const open = this.element.classList.toggle("open");
    this.#fold.setAttribute("aria-expanded", String(open));
  }

  #draw() {
    const { description, fields } = this.#manifest.messages[this.#type.value];
    setText(this.#about, description);
    this.#inputs.clear();
    const rows = Object.entries(fields)
      .filter(([name, { ui_hint: hint }]) => hint !== "hidden" && name !== "id")
      .map(([name, spec]) => this.#field(name, spec));
    fill(this.#fields, rows);
    this.#write();
  }

  #field(name, given) {
    const id = newId("field");
    const spec = given.$ref ? { ...this.#manifest.types[given.$ref.split("/").at(-1)], ...given } : given;
    const { kind, input, list } = this.#input(name, spec, id);
    this.#inputs.set(name, { input, kind });
    input.addEventListener("input", () => this.#write());
    return h(
      "div.field",
      null,
      h(
        "label",
        { for: id },
        name,
        h(spec.required ? "span.required" : "span.optional", null, spec.required ? "required" : kind),
      ),
      input,
      list,
      h("p.rule", { id: `${id}-about` }, spec.description ?? ""),
    );
  }

  #input(name, { type, values }, id) {
    const attributes = { id, "aria-describedby": `${id}-about`, spellcheck: "false" };
    const choose = (options) =>
      h(
        "select",
        attributes,
        ["", ...options].map((value) => h("option", { value }, value || "–")),
      );
    if (type === "enum") return { kind: "string", input: choose(values) };
    if (type === "boolean") return { kind: "boolean", input: choose(["true", "false"]) };
    if (type === "integer")
      return { kind: "integer", input: h("input", { ...attributes, type: "number", min: "0" }) };
    if (type === "map" || type === "object")
      return { kind: "JSON", input: h("textarea", { ...attributes, rows: "2", placeholder: "{}" }) };
    const offers =
      name === "action"
        ? this.#app.store.actions.map((action) => action.name)
        : name === "task_id"
          ? [...this.#app.store.tasks.keys()].slice(-200)
          : null;
    const input = h("input", { ...attributes, type: "text", list: offers ? `${id}-offers` : null });
    const list =
      offers &&
      h(
        "datalist",
        { id: `${id}-offers` },
        offers.map((value) => h("option", { value })),
      );
    return { kind: type ?? "string", input, list };
  }

  // The message as the fields say it.
  #write() {
    this.#number += 1;
    const message = { type: this.#type.value, id: `hand-${this.#number}` };
    for (const [name, { input, kind }] of this.#inputs) {
      const value = input.value.trim();
      if (!value) continue;
      try {
        message[name] =
          kind === "boolean"
            ? value === "true"
            : kind === "integer"
              ? Number(value)
              : kind === "JSON"
                ? JSON.parse(value)
                : value;
        input.removeAttribute("aria-invalid");
      } catch {
        input.setAttribute("aria-invalid", "true");
      }
    }
    this.#text.value = JSON.stringify(message, null, 2);
  }

  #key(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  #send(event) {
    event.preventDefault();
    attempt(async () => {
      if (!this.#app.link.connected) throw new Error("not connected");
      // On one line when it is JSON; else as it is, to see what the server says.
      let text = this.#text.value;
      try {
        text = JSON.stringify(JSON.parse(text));
      } catch {
        say("Not valid JSON; sent as it is");
      }
      this.#app.link.sendText(text);
      // The next one is another request, unless its id was written by hand.
      this.#number += 1;
      this.#text.value = this.#text.value.replace(/"hand-\d+"/, `"hand-${this.#number}"`);
    });
  }
}
