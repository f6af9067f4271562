// What can be started: a list of actions and, for the chosen one, a form. Which one, and what its form is filled with,
// may stand in the page's address.

import { fill, h, icon, iconButton } from "./dom.js";
import { ActionRuns } from "./actionruns.js";
import { signOf } from "./actionicon.js";
import { copyText } from "./copy.js";
import { grouped } from "./groups.js";
import { titleOf } from "./names.js";
import { say } from "./notices.js";
import { addressOf, go, linkTo, settle } from "./router.js";
import { count, exactly, many, policyText } from "./format.js";
import { ActionForm, prefill } from "./actionform.js";
import { narrow } from "./narrow.js";
import { recall, remember } from "./prefs.js";

export class Actions {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    this.#chosen = recall("action", "");
    this.#input = h("input", {
      type: "search",
      placeholder: "Find an action",
      "aria-label": "Find an action",
      spellcheck: "false",
    });
    this.#input.addEventListener("input", () => this.#drawList());
    this.#input.addEventListener("keydown", (event) => {
      const names = this.#found().map(({ name }) => name);
      if (event.key === "Enter" && names.length) this.choose(names[0], { focus: true });
      else if (event.key === "ArrowDown") this.#list.querySelector("button")?.focus();
      else return;
      event.preventDefault();
    });
    this.#list = h("div.action-list", { role: "listbox", "aria-label": "Actions" });
    this.#hidden = h("button.quiet.show-hidden", { type: "button", hidden: true, onclick: () => this.#showHidden() });
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#form = h("div.action-form");
    this.#runs = new ActionRuns(app, () => !place.hidden);
    fill(place, h("div.action-side", null, h("div.bar", null, h("h2.view-title", null, "Actions"), this.#input), this.#list, this.#hidden), this.#form);
    app.store.on("actions", () => this.#draw());
    app.store.on("pools", () => this.#drawPools());
    this.#draw();
  }

  #app;
  #place;
  #chosen;
  #input;
  #list;
  #form;
  #runs;
  #hidden; // shows what is kept out of sight
  #withHidden = false;
  #asked = null; // {name, params} of an address, until the action is known
  #shown = null; // the ActionForm
  #buttons = new Map(); // name -> the button in the list

  /** Where the view is. */
  get address() {
    const listed = narrow.matches && !this.#place.classList.contains("with-form");
    return addressOf("actions", this.#chosen && !listed ? [this.#chosen] : []);
  }

  /** Called with what the page's address says: where it is narrow, the list, or the form of one action. */
  shown({ path: [name = ""], fields }) {
    this.#place.classList.toggle("with-form", name !== "");
    if (this.#chosen) this.#runs.show(this.#chosen);
    if (!name) return;
    this.#asked = { name, params: fields };
    this.#take();
  }

  // The action that an address names, with its form filled; nothing is started by a link.
  #take() {
    const action = this.#asked && this.#app.store.action(this.#asked.name);
    if (!action) return;
    const { name, params } = this.#asked;
    this.#asked = null;
    const known = Object.entries(params).filter(([each]) => each in (action.params ?? {}) && action.params[each]?.type !== "secret");
    if (known.length) prefill(name, Object.fromEntries(known));
    if (action.hidden && !this.#withHidden) this.#showHidden();
    if (known.length || name !== this.#shown?.action.name) this.choose(name);
  }

  focus() {
    if (this.#shown) this.#shown.focus();
    else this.#input.focus();
  }

  /** The chosen action in the list. */
  get restAt() {
    return this.#list.querySelector('[tabindex="0"]');
  }

  focusSearch() {
    this.#input.focus();
    this.#input.select();
  }

  /** Show an action's form. */
  choose(name, { focus = false } = {}) {
    if (focus) this.#place.classList.add("with-form");
    if (name !== this.#shown?.action.name) this.#app.panes.endPassing(name);
    this.#chosen = name;
    remember("action", name);
    const action = this.#app.store.action(name);
    if (!action) return;
    if (this.#app.view === "actions") settle(this.address);
    for (const [each, button] of this.#buttons) {
      button.setAttribute("aria-selected", String(each === name));
      button.tabIndex = each === name ? 0 : -1;
    }
    this.#shown = new ActionForm(this.#app, action);
    const back = h("button.quiet.to-list", { type: "button", onclick: () => go(addressOf("actions")) }, icon("back"), "Back");
    fill(this.#form, back, this.#head(action), h("div.action-body", null, this.#shown.element, this.#runs.element));
    this.#runs.show(name);
    if (focus) this.#shown.focus();
  }

  /** Show an action's form with these parameters filled in. */
  fillIn(name, params) {
    prefill(name, params);
    this.choose(name, { focus: true });
  }

  #found() {
    const wanted = this.#input.value.trim().toLowerCase();
    return this.#app.store.actions.filter(
      ({ name, title = "", group = "", description = "", hidden }) =>
        (!hidden || this.#withHidden) && `${name} ${title} ${group} ${description}`.toLowerCase().includes(wanted),
    );
  }

  #showHidden() {
    this.#withHidden = true;
    this.#drawList();
  }

  #draw() {
    const { actions } = this.#app.store;
    this.#drawList();
    this.#take();
    if (!actions.length) {
      fill(this.#form, h("p.empty", null, this.#app.store.described ? "This server's configuration has no actions." : ""));
      return;
    }
    // A reconnect must not wipe what is being typed.
    const same =
      this.#shown && JSON.stringify(this.#shown.action) === JSON.stringify(this.#app.store.action(this.#chosen));
    if (!same) this.choose(this.#app.store.action(this.#chosen) ? this.#chosen : (this.#found()[0] ?? actions[0]).name);
  }

  #drawList() {
    this.#buttons.clear();
    const found = this.#found();
    const hidden = this.#app.store.actions.filter((action) => action.hidden).length;
    this.#hidden.hidden = this.#withHidden || !hidden;
    fill(this.#hidden, `Show ${many(hidden, "hidden action")}`);
    fill(
      this.#list,
      [...grouped(found)].map(([group, some]) =>
        h("div", { role: "group", "aria-label": group || "Actions" }, group ? h("h3", { "aria-hidden": "true" }, group) : null, some.map((action) => this.#button(action))),
      ),
      found.length || !this.#app.store.described ? null : h("p.empty", null, "No action matches."),
    );
    const [first] = this.#buttons.values();
    if (first && !this.#list.querySelector('[tabindex="0"]')) first.tabIndex = 0;
    this.#drawPools();
  }

  #button(action) {
    const { name } = action;
    const selected = name === this.#chosen;
    const title = titleOf(this.#app.store, name);
    const button = h(
      "button.action",
      {
        type: "button",
        role: "option",
        "aria-selected": String(selected),
        tabindex: selected ? "0" : "-1",
        onclick: () => (narrow.matches ? go(addressOf("actions", [name])) : this.choose(name, { focus: true })),
      },
      signOf(action, title),
      h("b", null, title),
      h("span.pool-note"),
      h("small", null, action.description ?? (action.title ? name : action.type)),
    );
    this.#buttons.set(name, button);
    return button;
  }

  #drawPools() {
    for (const [name, button] of this.#buttons) {
      const pool = this.#app.store.pools.get(name);
      const note = button.querySelector(".pool-note");
      if (!pool || (!pool.running && !pool.queue_depth)) note.textContent = "";
      else {
        const queued = pool.queue_depth ? `, ${count(pool.queue_depth)} queued` : "";
        note.textContent = `${count(pool.running)}${pool.limit ? ` of ${count(pool.limit)}` : ""} running${queued}`;
      }
    }
  }

  #head(action) {
    const { limit, queue } = action.task_pool;
    const facts = [
      limit ? `at most ${count(limit)} at once` : "no limit on running tasks",
      queue?.enabled ? (queue.size ? `${count(queue.size)} may wait` : "unlimited queue") : null,
      policyText(action.retry),
      action.on_boot === "resume" ? "resumed when the server starts" : "",
      ...thenText(action.then),
      action.timeout_ms ? `stopped after ${exactly(action.timeout_ms)}` : "",
      action.ready ? `ready: ${action.ready}` : "",
      action.health ? `health: ${action.health}` : "",
      action.dedupe_key?.length ? `not twice with the same ${action.dedupe_key.join(", ")}` : null,
      ...Object.entries(action.settings ?? {}).map(([key, value]) => `${key}: ${value}`),
    ].filter(Boolean);
    const title = titleOf(this.#app.store, action.name);
    return h(
      "header.action-head",
      null,
      signOf(action, title),
      h("h2", null, title),
      action.title ? h("code.tag", null, action.name) : null,
      h("span.tag", null, action.type),
      iconButton("link", "Copy a link to this form, filled in as it is, without its secrets", () => this.#copyLink()),
      action.description ? h("p", null, action.description) : null,
      h(
        "p.facts",
        null,
        facts.map((fact) => h("span", null, fact)),
      ),
    );
  }

  async #copyLink() {
    if (await copyText(linkTo(addressOf("actions", [this.#chosen], this.#shown.shared)))) say("Copied the link");
  }

  #key(event) {
    const buttons = [...this.#buttons.values()];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0) this.#input.focus();
    else buttons[Math.min(to, buttons.length - 1)]?.focus();
  }
}

/** What follows the end of a task, a text for each case. */
function thenText(then = {}) {
  const cases = { success: "a success", failure: "a failure", any: "either end" };
  return Object.entries(then).map(
    ([when, next]) => `after ${cases[when]}: starts ${next.map((each) => each.action).join(", ")}`,
  );
}
