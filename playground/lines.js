// Searching the logs of all tasks: lines in which something was found, each of which leads to its place in its run.

import { fill, flip, h, named, setText, toggle, isPressed } from "./dom.js";
import { many, sentence, shortMoment } from "./format.js";
import { answers, patternOf, queryOf } from "./logsearch.js";
import { shortId } from "./names.js";
import { pieces } from "./linetext.js";

const PAGE = 200; // matches
const AROUND = 120; // characters of a line that are shown before the match

/** What is looked for, {text, regex, exact}, as fields of an address. */
export const fieldsOf = ({ text, regex, exact }) => ({ find: text, regex: regex ? 1 : "", exact: exact ? 1 : "" });

export class Lines {
  /** `acts`: open (match, wanted) shows a line in its run, with what was looked for; asked () is called at a search. */
  constructor(app, filters, acts) {
    this.#app = app;
    this.#filters = filters;
    this.#acts = acts;
    this.query = h("input.query", { type: "search", placeholder: "What the line says", "aria-label": "Search logs for", spellcheck: "false" });
    this.query.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), this.#go()));
    this.#regex = toggle(".*", "Regular expression", () => this.#go());
    this.#exact = toggle("Aa", "Match case, which is quicker", () => this.#go());
    const go = h("button.primary", { type: "button", onclick: () => this.#go() }, "Search");
    this.tools = h("span.find", null, this.query, this.#regex, this.#exact, go);
    this.#more = h("button", { type: "button", hidden: true, onclick: () => this.#ask() }, "More matches");
    this.element = h("div.matches", { hidden: true }, this.#said, this.#list, this.#more);
    this.#list.addEventListener("keydown", (event) => this.#key(event));
  }

  element;
  tools;
  query;
  #app;
  #filters;
  #acts;
  #regex;
  #exact;
  #more;
  #said = h("p.counts", { role: "status" });
  #list = h("ol.match-list", { "aria-label": "Matches" });
  #request = null; // what was asked
  #wanted = null;
  #after = "";
  #number = 0; // of the latest search
  #found = 0;
  #group = null; // the last one: of one task
  #latest = null; // the button that had the focus last

  get shown() {
    return !this.element.hidden;
  }

  show(on) {
    this.element.hidden = !on;
    this.tools.hidden = !on;
    if (on && !this.#request) this.#invite();
  }

  /** The match that had the focus last, or the first. */
  get restAt() {
    return this.#latest?.isConnected ? this.#latest : this.#list.querySelector(".match");
  }

  /** What is looked for, as fields of an address. */
  get fields() {
    return fieldsOf(this.#want);
  }

  /** Take what is looked for from the fields of an address. */
  take({ find = "", regex = "", exact = "" }) {
    this.query.value = find;
    if (isPressed(this.#regex) !== Boolean(regex)) flip(this.#regex);
    if (isPressed(this.#exact) !== Boolean(exact)) flip(this.#exact);
  }

  get #want() {
    return { text: this.query.value, regex: isPressed(this.#regex), exact: isPressed(this.#exact) };
  }

  #go() {
    this.#acts.asked();
    this.search();
  }

  /** Look for what the field says. */
  search() {
    this.#number += 1;
    const wanted = this.#want;
    fill(this.#list);
    this.#group = null;
    this.#found = 0;
    this.#after = "";
    this.#more.hidden = true;
    if (!wanted.text) {
      this.#request = null;
      this.#invite();
      return;
    }
    this.#wanted = wanted;
    this.#request = { ...queryOf(wanted), ...this.#filters.fields(this.#app.link.now) };
    this.#ask();
  }

  async #ask() {
    const mine = this.#number;
    this.#more.disabled = true;
    this.element.setAttribute("aria-busy", "true");
    setText(this.#said, "Searching…");
    let problem = "";
    try {
      const request = { ...this.#request, ...(this.#after ? { after: this.#after } : {}) };
      // Until there is something to show: an answer may be that nothing was found so far.
      for await (const { matches, next } of answers(this.#app.link, request, PAGE)) {
        if (mine !== this.#number) return;
        this.#after = next;
        this.#add(matches);
        if (matches.length) break;
      }
    } catch (error) {
      if (mine !== this.#number) return;
      problem = error.message;
    }
    this.element.removeAttribute("aria-busy");
    this.#more.disabled = false;
    this.#more.hidden = !this.#after || Boolean(problem);
    this.#say(problem);
  }

  #say(problem) {
    if (problem) {
      fill(this.#said, h("span.problem", null, sentence(problem)), h("span.hint", null, this.#advice(problem)), h("button", { type: "button", onclick: () => this.search() }, "Try again"));
    } else if (!this.#found) {
      const wide = this.#filters.any ? h("button", { type: "button", onclick: () => this.#filters.clear() }, "Search all logs") : null;
      fill(this.#said, "No line of the logs that are kept says that.", wide);
    } else fill(this.#said, `${this.#after ? "The latest " : ""}${many(this.#found, "line")}, the newest logs first.`);
  }

  #advice(problem) {
    if (/data_dir/.test(problem)) return "With data_dir: PATH in it, what tasks write is kept.";
    if (/within/.test(problem) && !isPressed(this.#exact)) return "Matching case (Aa) is quicker, too.";
    return "";
  }

  #invite() {
    fill(this.#said, "Searches what all tasks have written, as far as it is kept: the newest first. Enter starts it.");
  }

  #add(matches) {
    const pattern = patternOf(this.#wanted);
    const { now } = this.#app.link;
    for (const match of matches) {
      if (this.#group?.taskId !== match.task_id) this.#begin(match.task_id);
      const open = h("button.match", { type: "button", onclick: () => ((this.#latest = open), this.#acts.open(match, this.#wanted)) });
      fill(open, h("time", { datetime: match.ts, title: match.ts }, shortMoment(match.ts, now)), h("span.mark", null, match.stream === "stderr" ? "err" : ""), h("span.text", null, pieces(around(match.data, pattern), pattern)));
      const another = this.#group.runId && this.#group.runId !== match.run_id;
      this.#group.runId = match.run_id;
      this.#group.lines.append(h(another ? "li.another" : "li", null, open));
    }
    this.#found += matches.length;
  }

  #begin(taskId) {
    const lines = h("ol");
    this.#group = { taskId, lines };
    this.#list.append(h("li.group", null, h("h3", null, named(shortId(taskId))), lines));
  }

  #key(event) {
    const all = [...this.#list.querySelectorAll(".match")];
    const at = all.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    all[to]?.focus();
  }
}

// A long line from shortly before what was found in it.
function around(text, pattern) {
  if (!pattern || text.length < 2 * AROUND) return text;
  pattern.lastIndex = 0;
  const at = pattern.exec(text)?.index ?? 0;
  return at > AROUND ? `…${text.slice(at - AROUND)}` : text;
}
