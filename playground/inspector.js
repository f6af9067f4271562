// Everything about the selected task, beside the table: its facts, why it failed, and its last lines.

import { fill, h, icon, iconButton, inFrame, setText } from "./dom.js";
import { bytes, exactly, policyText } from "./format.js";
import { copyButton, idOf, nameById, nameOf } from "./names.js";
import { addressOf, linkTo } from "./router.js";
import { whenOf } from "./when.js";
import { draw } from "./ansi.js";
import { STATES, exitText, isOver, isUnhealthy, wordOf } from "./states.js";
import { copyText } from "./copy.js";
import { say } from "./notices.js";
import { showButtons } from "./taskactions.js";
import { whenIs } from "./taskcolumns.js";
import { Usage } from "./usage.js";

const LAST = 8; // lines shown
const LONGEST = 400; // characters of each

export class Inspector {
  /** `leave`: called to look at no task any longer. */
  constructor(app, leave) {
    this.#app = app;
    this.#usage = new Usage(app);
    this.#lines = h("pre.last-lines", { tabindex: "0", "aria-label": "The last lines" });
    this.element = h(
      "aside.inspector",
      { "aria-label": "The selected task", hidden: true },
      h(
        "header",
        null,
        iconButton("back", "Back to the list", leave, { text: "Tasks", kind: "quiet" }),
        this.#title,
        this.#tools,
        iconButton("close", "Look at no task", leave, { key: "Escape" }),
      ),
      this.#id,
      this.#state,
      this.#error,
      this.#acts,
      this.#usage.element,
      this.#lines,
      this.#facts,
    );
    app.link.on("output", (chunk) => this.#take(chunk));
    app.link.on("partial", (partial) => this.#takePartial(partial));
  }

  #app;
  #title = h("h2");
  #id = h("p.row.ids");
  #tools = h("span.row");
  #state = h("p.row");
  #error = h("p.banner");
  #acts = h("p.row");
  #facts = h("dl");
  #lines;
  #usage;
  #key = "";
  #taskId = ""; // whose lines are shown
  #asking = ""; // whose lines are on their way
  #tail = new Map(); // seq -> {stream, text}
  #partials = new Map(); // stream -> the line that it is at
  #over = false; // whether nothing more will come
  #drawLines = inFrame(() => this.#showLines());
  #asked = 0; // number of the latest question, so that an old one's answer is not shown

  /** Show a task, or nothing; `taskId`: the one that is wanted, if the server knows it. */
  show(task, taskId = "") {
    this.element.hidden = !task && !(taskId && this.#app.store.listed);
    this.element.classList.toggle("is-unknown", !task);
    this.#usage.show(task);
    if (!task) {
      this.#key = "";
      if (!this.element.hidden) this.#missing(taskId);
      return;
    }
    const open = this.#app.panes.has(task.task_id);
    const next = followers(this.#app.store.tasks, task);
    const key = JSON.stringify([task, nameOf(this.#app.store, task), open, next, this.#app.link.connected]);
    if (key === this.#key) return;
    this.#key = key;
    this.#over = isOver(task.status);
    if (this.#over || this.#taskId !== task.task_id) this.#partials.clear();
    this.#draw(task, open, next);
    this.#askLines(task);
  }

  #draw(task, open, next) {
    const { status } = task;
    const when = (at) => (at ? whenOf(at, this.#app.link.now) : "");
    const facts = [
      ["Action", task.action],
      ...Object.entries(task.params ?? {}).map(([name, value]) => [name, value, "param"]),
      ["Started by", this.#startedBy(task.trigger)],
      ["Then started", next.length ? h("span", null, next.flatMap((id, at) => [at ? ", " : "", this.#linkTo(id)])) : ""],
      ["PID", task.current_pid],
      ["Host", task.host],
      ["Waits for", task.waiting_on?.join(", ")],
      ["Ready", task.worker_state !== "running" || task.ready === undefined ? "" : task.ready ? "yes" : "not yet"],
      ["Health", task.health],
      ["Last exit", exitText(task, this.#app.watch.signal(task.task_id))],
      ["Why", task.reason],
      ["Ran", task.duration_ms === undefined ? "" : exactly(task.duration_ms)],
      ["CPU time", task.cpu_ms === undefined ? "" : exactly(task.cpu_ms)],
      ["Most memory", task.max_rss === undefined ? "" : bytes(task.max_rss)],
      ["Restarts", task.restart_count || ""],
      ["Retry", policyText(task.retry_policy)],
      ["Created", when(task.created_at)],
      ["Started", when(task.last_started_at)],
      ["Exited", when(task.last_exited_at)],
    ].filter(([, value]) => value !== undefined && value !== "");
    const toggle = () => this.#app.panes.toggle(task.task_id);
    const name = nameOf(this.#app.store, task);
    if (this.#title.of !== `${task.task_id} ${name}`) {
      this.#title.of = `${task.task_id} ${name}`;
      setText(this.#title, name);
      fill(this.#id, idOf(task.task_id));
      fill(
        this.#tools,
        copyButton("its name", name),
        iconButton("link", "Copy a link to it", () => copyLink(addressOf("tasks", [task.task_id]))),
        iconButton("history", "Its runs, also those before the server was restarted", () => this.#app.views.history.showTask(task.task_id)),
      );
    }
    fill(
      this.#state,
      h(`span.state.s-${status}`, null, icon(STATES[status].icon), wordOf(task)),
      whenOf(whenIs(task), this.#app.link.now),
      isUnhealthy(task) ? h("span.mark", null, icon("bad"), "unhealthy") : null,
    );
    this.#error.hidden = !task.error_message;
    fill(this.#error, icon("bad"), h("span", null, task.error_message ?? ""));
    fill(
      this.#facts,
      facts.map(([name, value, kind]) => [
        h(kind === "param" ? "dt.param" : "dt", null, name),
        h("dd", null, value instanceof Node ? value : String(value)),
      ]),
    );
    const shown = JSON.stringify([task.task_id, open]);
    const focused = this.#acts.contains(document.activeElement) ? document.activeElement.className : "";
    if (this.#acts.shown !== shown) {
      this.#acts.shown = shown;
      const words = { key: "Enter", text: open ? "Close output" : "Output", kind: open ? "plain" : "primary" };
      fill(this.#acts, iconButton("output", open ? "Close the output" : "Show the output", toggle, words));
    }
    showButtons(this.#acts, this.#app, task, { words: true });
    if (focused) this.#acts.querySelector(`.${focused.split(" ").join(".")}`)?.focus();
  }

  // The server does not know it, or no longer.
  #missing(taskId) {
    if (this.#title.of === taskId) return;
    this.#title.of = taskId;
    setText(this.#title, "Unknown task");
    fill(this.#id, idOf(taskId));
    fill(this.#tools);
    const runs = h("button", { type: "button", onclick: () => this.#app.views.history.showTask(taskId) }, icon("history"), "Look in the history");
    fill(this.#state, h("span", null, "The server knows no such task, or has forgotten it. "), runs);
  }

  // What started a task, if it was not a client.
  #startedBy(trigger) {
    if (!trigger) return "";
    if (trigger.type !== "chain") return trigger.by || trigger.type;
    return trigger.by ? h("span", null, "the end of ", this.#linkTo(trigger.by.slice("chain:".length))) : "a chain";
  }

  // Another task, by its name.
  #linkTo(id) {
    return h("a", { href: addressOf("tasks", [id]), title: id }, nameById(this.#app.store, id));
  }

  // replay has no end mark, but the answer to a later request is one.
  async #askLines(task) {
    this.#asked += 1;
    const mine = this.#asked;
    if (this.#taskId !== task.task_id) setText(this.#lines, "");
    this.#asking = task.task_id;
    this.#tail = new Map();
    try {
      await this.#app.link.command({ type: "replay", task_id: task.task_id }, { own: true });
    } catch {
      return; // gone, or forgotten by the server
    }
    if (mine !== this.#asked) return;
    this.#asking = "";
    this.#taskId = task.task_id;
    this.#showLines();
  }

  #showLines() {
    const seqs = [...this.#tail.keys()].sort((a, b) => a - b);
    const lines = [...seqs.slice(-LAST).map((seq) => this.#tail.get(seq)), ...this.#partials.values()];
    fill(
      this.#lines,
      lines.map(({ stream, text }) =>
        h(
          stream === "stderr" ? "div.err" : "div",
          null,
          draw(text, null, LONGEST).pieces.map((piece) => piece.text),
        ),
      ),
      lines.length ? null : h("div.none", null, this.#over ? "No output." : "No complete line so far."),
    );
  }

  #take({ task_id: taskId, stream, lines, seq }) {
    if (taskId !== this.#asking && taskId !== this.#taskId) return;
    this.#partials.delete(stream);
    for (let at = Math.max(0, lines.length - LAST); at < lines.length; at += 1)
      this.#tail.set(seq + at, { stream, text: lines[at] });
    for (const old of this.#tail.keys()) {
      if (this.#tail.size <= 10 * LAST) break;
      this.#tail.delete(old);
    }
    if (!this.#asking) this.#drawLines();
  }

  // They come while the task's output is open.
  #takePartial({ task_id: taskId, stream, data }) {
    if (taskId !== this.#asking && taskId !== this.#taskId) return;
    if (data) this.#partials.set(stream, { stream, text: data });
    else this.#partials.delete(stream);
    if (!this.#asking) this.#drawLines();
  }
}

async function copyLink(address) {
  if (await copyText(linkTo(address))) say("Copied the link");
}

/** The ids of the tasks that were started because this one had ended. */
function followers(tasks, task) {
  const by = `chain:${task.task_id}`;
  return [...tasks.values()].filter((each) => each.trigger?.by === by).map((each) => each.task_id);
}
