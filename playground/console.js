// Every message in and out, as it went over the wire, and a place to send one by hand.

import { fill, flip, h, iconButton, inFrame, setText } from "./dom.js";
import { clock, count, many } from "./format.js";
import { visible } from "./visible.js";
import { jsonRows } from "./json.js";
import { VirtualList } from "./vlist.js";
import { Composer } from "./composer.js";
import { copyText } from "./copy.js";
import { say } from "./notices.js";

const ROW = 22; // px, as .c-row in views.css
const KEPT = 5000; // entries
const CHARS = 8_000_000; // in all entries
const SEARCHED = 20_000; // characters of a message that are looked through
const BRIEF = 600; // characters of a message in its row

export class Console {
  constructor(app, place, manifest) {
    this.#place = place;
    this.#build(app, manifest);
    app.link.on("sent", ({ message, text, own, size }) => this.#add({ out: true, own, message, text, size }));
    app.link.on("*", ({ message, own, size }) => this.#add({ out: false, own, message, size }));
  }

  #place;
  #entries = [];
  #shown = [];
  #chars = 0;
  #own = false; // show what the page asks by itself
  #output = true; // show output
  #held = false;
  #search = "";
  #selected = null;
  #list;
  #scroller;
  #details;
  #size;
  #following = true;
  #draw = inFrame(() => this.#paint());

  get restAt() {
    return this.#scroller;
  }

  focusSearch() {
    this.#place.querySelector("input[type=search]").focus();
  }

  shown() {
    this.#draw();
  }

  #build(app, manifest) {
    const search = h("input", {
      type: "search",
      placeholder: "Find messages",
      "aria-label": "Find messages",
      spellcheck: "false",
    });
    search.addEventListener("input", () => {
      this.#search = search.value.toLowerCase();
      this.#draw();
    });
    const toggle = (text, title, act, on = false) => {
      const button = h("button.toggle", { type: "button", "aria-pressed": String(on), title }, text);
      button.addEventListener("click", () => {
        act(flip(button));
        this.#draw();
      });
      return button;
    };
    this.#size = h("span.found");
    this.#scroller = h("div.c-body", { tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Messages" });
    this.#scroller.addEventListener("scroll", () => (this.#following = this.#list.atEnd));
    this.#scroller.addEventListener("click", ({ target }) => {
      const row = target.closest(".c-row");
      if (row) this.#select(this.#list.indexOf(row));
    });
    this.#scroller.addEventListener("keydown", (event) => this.#key(event));
    this.#details = h("div.c-details", { hidden: true, "aria-label": "The message", role: "region" });
    const composer = new Composer(app, manifest);
    fill(
      this.#place,
      h(
        "div.bar",
        null,
        h("h2.view-title", null, "Console"),
        search,
        toggle("the page's own", "Also show the page's own requests, every second", (on) => (this.#own = on)),
        toggle("output", "Show lines of output", (on) => (this.#output = on), true),
        toggle("hold", "Freeze the list", (on) => (this.#held = on)),
        iconButton("purge", "Clear the list", () => this.#clear()),
        this.#size,
      ),
      h("div.console-body", null, h("div.c-list", null, this.#scroller, this.#details), composer.element),
    );
    this.#list = new VirtualList(this.#scroller, {
      rowHeight: ROW,
      make: makeRow,
      show: (row, at) => this.#show(row, at),
    });
  }

  #add(entry) {
    if (this.#held) return;
    entry.at = new Date().toISOString();
    this.#entries.push(entry);
    this.#chars += entry.size;
    if (this.#entries.length > KEPT * 1.2 || this.#chars > CHARS) this.#forget();
    if (!this.#place.hidden) this.#draw();
  }

  // The older ones go, whole messages of any size.
  #forget() {
    let from = Math.max(0, this.#entries.length - KEPT);
    for (const entry of this.#entries.slice(0, from)) this.#chars -= entry.size;
    while (this.#chars > CHARS / 2 && from < this.#entries.length - 1) {
      this.#chars -= this.#entries[from].size;
      from += 1;
    }
    this.#entries = this.#entries.slice(from);
  }

  #clear() {
    this.#entries = [];
    this.#chars = 0;
    this.#select(-1);
    this.#draw();
  }

  #paint() {
    if (this.#place.hidden) return;
    this.#shown = this.#entries.filter((entry) => this.#wanted(entry));
    setText(this.#size, many(this.#shown.length, "message"));
    this.#list.setCount(this.#shown.length);
    if (this.#following) this.#list.toEnd();
    this.#list.paintNow();
  }

  #wanted(entry) {
    if ((entry.own && !this.#own) || (!this.#output && (entry.message?.lines || entry.message?.type === "partial"))) return false;
    return !this.#search || textOf(entry).toLowerCase().includes(this.#search);
  }

  #show(row, at) {
    const entry = this.#shown[at];
    const chosen = entry === this.#selected;
    row.className = `c-row${entry.out ? " sent" : ""}${chosen ? " selected" : ""}${entry.message?.type === "error" ? " bad" : ""}`;
    if (row.entry === entry) return;
    row.entry = entry;
    const [arrow, time, type, text] = row.children;
    arrow.textContent = entry.out ? "→" : "←";
    arrow.title = entry.out ? "sent" : "received";
    time.textContent = clock(entry.at);
    const lines = entry.message?.lines;
    type.textContent = visible(String(entry.message?.type ?? "text"));
    if (lines?.length > 1) type.textContent += ` ×${count(lines.length)}`;
    text.textContent = textOf(entry).slice(0, BRIEF);
  }

  #select(at) {
    this.#selected = this.#shown[at] ?? null;
    this.#details.hidden = !this.#selected;
    if (this.#selected) {
      const entry = this.#selected;
      this.#following = false;
      this.#list.reveal(at);
      const whole = wire(entry);
      const copy = async () =>
        (await copyText(whole.map((each) => JSON.stringify(each)).join("\n"))) && say("Copied");
      fill(
        this.#details,
        h(
          "div.row.end",
          null,
          iconButton("copy", "Copy this message", copy),
          iconButton("close", "Close", () => this.#select(-1), { key: "Escape" }),
        ),
        whole.slice(0, 20).map(pretty),
        whole.length > 20 ? h("p.hint", null, `and ${count(whole.length - 20)} more`) : null,
      );
    }
    this.#list.refresh();
  }

  #key(event) {
    const at = this.#shown.indexOf(this.#selected);
    const to = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? this.#shown.length - 1 : at - 1,
      Home: 0,
      End: this.#shown.length - 1,
    }[event.key];
    if (to !== undefined) this.#select(Math.max(0, Math.min(to, this.#shown.length - 1)));
    else if (event.key === "Escape" && this.#selected) this.#select(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function makeRow() {
  return h("div.c-row", null, h("span.c-arrow"), h("span.c-time"), h("span.c-type"), h("span.c-text"));
}

// The messages of an entry as they were on the wire; the connection's thread joins lines of output.
function wire({ message, text }) {
  if (!message) return [text];
  if (!message.lines) return [message];
  const { lines, seq, truncated, overwritten, type, task_id, pid, stream, ts } = message;
  return lines.map((data, at) => {
    const whole = { type, task_id, pid, stream, data, ts, seq: seq + at };
    return { ...whole, ...(truncated && { truncated }), ...(overwritten && { overwritten }) };
  });
}

// What a row shows and a search looks through: a message as one line, the first of joined lines for all.
function textOf(entry) {
  const { message, text } = entry;
  if (entry.brief === undefined) {
    const first = message?.lines ? wire({ message: { ...message, lines: message.lines.slice(0, 1) } })[0] : message;
    entry.brief = visible((text ?? JSON.stringify(first)).slice(0, SEARCHED));
  }
  return entry.brief;
}

function pretty(value) {
  if (value === null || typeof value !== "object") return h("pre", null, visible(String(value)));
  const rows = jsonRows(value, new Set());
  return h(
    "div.json",
    null,
    rows.map(({ depth, key, text, kind }) =>
      h(
        "div",
        null,
        h("span.indent", null, "\u00a0".repeat(2 * (depth - 1))),
        key ? [h("span.key", null, key), ": "] : null,
        h(`span.j-${kind}`, null, text),
      ),
    ),
  );
}
