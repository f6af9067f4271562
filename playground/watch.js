// The tasks whose output the page follows. Each has a TaskLog; this keeps the logs in step with the server:
// subscribes with on_lag "drop" (watching never slows a task), goes on after the last line it has when the
// connection comes back, and says in the log what was missed.

import { RunBounds } from "./runbounds.js";
import { KIND, TaskLog } from "./tasklog.js";
import { count, exactly, many } from "./format.js";

// Why a run ended, where how it ended does not say.
const WHY = {
  timeout: ", for it ran too long",
  oom: ", for lack of memory",
  unhealthy: ", for it was unhealthy",
  shutdown: ", with the server",
  lost: ": its host was lost",
};
const EXITS = 1000; // remembered of one task, not to note one twice
const TAIL = 1000; // lines of a log that the page begins with; earlier ones are asked for

export class Watch {
  /** `manifest`: tells whether the server sends unfinished lines. */
  constructor(link, manifest) {
    this.#link = link;
    if (manifest.messages.subscribe?.fields.partial) this.wanted.partial = true;
    this.#logged = Boolean(manifest.messages.logs);
    this.#logs = new Map();
    link.on("subscribed", (reply) => this.#subscribed(reply));
    link.on("output", (chunk) => this.#output(chunk));
    link.on("partial", (partial) => this.#with(partial, ({ log }) => log.setPartial(partial)));
    link.on("gap", (gap) => this.#with(gap, (seat) => this.#gap(seat, gap)));
    link.on("started", (event) => this.#with(event, (seat) => this.#started(seat, event)));
    link.on("exited", (event) => this.#with(event, (seat) => this.#exited(seat, event)));
    link.on("restarting", (event) =>
      this.#note(event, KIND.note, `restart ${event.attempt} in ${event.restart_delay}`),
    );
    link.on("errored", (event) => this.#note(event, KIND.bad, `gave up after ${many(event.exit_count, "exit")}`));
    link.on("ready", (event) => this.#note(event, KIND.note, "ready"));
    link.on("not_ready", (event) => this.#note(event, KIND.bad, event.detail));
    link.on("health", (event) =>
      this.#note(
        event,
        event.status === "unhealthy" ? KIND.bad : KIND.note,
        event.status + (event.detail ? `: ${event.detail}` : ""),
      ),
    );
    link.on("queued", (event) => this.#note(event, KIND.note, `queued at position ${event.position}`));
    link.on("moved", (event) => this.#note(event, KIND.note, `moved to number ${event.position} in the queue`));
    link.on("dequeued", (event) => this.#note(event, KIND.note, `left the queue: ${event.reason}`));
    link.on("batch", () => this.#tell());
    link.on("status", ({ state }) => this.#status(state));
  }

  /** How output is wanted, in a start and in a subscribe. */
  wanted = { on_lag: "drop" };

  #link;
  #logged; // the server has logs, as far as is known
  #logs; // task id -> seat
  #touched = new Set(); // seats that changed since the listeners were told

  /**
   * The log of a task, followed from now on; it begins with what the server still has. `starting`: a start
   * is about to be sent, which subscribes by itself; `confirm` once it was accepted.
   */
  follow(taskId, { starting = false } = {}) {
    let seat = this.#logs.get(taskId);
    if (!seat) {
      seat = {
        log: new TaskLog(taskId),
        bounds: new RunBounds(),
        lastSeq: 0,
        createdAt: "",
        fresh: false, // a first start was announced: the next line may be line 1 of a new task
        away: false, // the connection was lost since
        syncing: false, // lines are not taken until the answer to a subscribe
        catching: false, // lines were skipped; the last of them are on their way
        exits: new Set(), // those that are in the log
        signal: "",
        listeners: new Set(),
      };
      this.#logs.set(taskId, seat);
      if (!starting) this.#subscribe(seat);
    }
    return seat.log;
  }

  /** The start was accepted: learn which task it is, for the day when the connection breaks. */
  confirm(taskId) {
    this.#subscribe(this.#logs.get(taskId), { started: true });
  }

  /** No longer follow a task, and forget its log. */
  drop(taskId) {
    if (this.#logs.delete(taskId)) this.release(taskId);
  }

  /** Undo the subscription that a start brings, if no view follows the task. */
  release(taskId) {
    if (this.#logs.has(taskId) || !this.#link.connected) return;
    this.#link.request({ type: "unsubscribe", task_id: taskId }, { own: true }).catch(() => {});
  }

  follows(taskId) {
    return this.#logs.has(taskId);
  }

  /** The signal that ended the task's latest run, as far as was seen here. */
  signal(taskId) {
    return this.#logs.get(taskId)?.signal ?? "";
  }

  /** Call `listener` once after each batch that changed the log. Returns what ends that. */
  listen(taskId, listener) {
    const seat = this.#logs.get(taskId);
    seat.listeners.add(listener);
    return () => seat.listeners.delete(listener);
  }

  #with(event, act) {
    const seat = this.#logs.get(event.task_id);
    if (!seat) return;
    act(seat);
    this.#touched.add(seat);
  }

  #note(event, kind, text) {
    this.#with(event, (seat) => seat.log.addNote(kind, text, event.ts));
  }

  #tell() {
    for (const seat of this.#touched) for (const listener of seat.listeners) listener();
    this.#touched.clear();
  }

  #status(state) {
    for (const seat of this.#logs.values()) {
      if (state === "open") {
        seat.log.endPartials();
        this.#subscribe(seat);
      } else if (state === "waiting" && !seat.away) {
        seat.away = true;
        seat.log.addNote(KIND.note, "connection lost", new Date().toISOString());
        this.#touched.add(seat);
      }
    }
    this.#tell();
  }

  // `started`: it was just now, so its lines come from the first one on.
  async #subscribe(seat, { hold = seat.away, started = false } = {}) {
    if (!this.#link.connected) return;
    const look = this.#logged && !started;
    seat.syncing = hold || (look && !seat.lastSeq); // a replay that somebody asked for must not come between
    const since = look ? await this.#since(seat) : seat.lastSeq;
    if (this.#logs.get(seat.log.taskId) !== seat) return; // no view follows it any longer
    try {
      const request = { type: "subscribe", task_id: seat.log.taskId, since_seq: since, ...this.wanted };
      seat.asked = since; // the answer is looked at before the lines behind it: see #subscribed
      await this.#link.request(request, { own: true });
    } catch {
      seat.syncing = false; // the connection is gone again, or the server will not; the next status says more
    }
  }

  // After which line to go on: a log may be too long to show at once.
  async #since(seat) {
    try {
      const page = await this.#link.request({ type: "logs", task_id: seat.log.taskId, tail: 1 }, { own: true });
      await seat.bounds.load(this.#link, seat.log.taskId);
      return Math.max(seat.lastSeq, page.last_seq - TAIL);
    } catch (error) {
      if (String(error.message ?? error).includes("data_dir")) this.#logged = false;
      return seat.lastSeq;
    }
  }

  /** Lines of a task's log before those that are held; whether there may be more. Throws what the link does. */
  async loadEarlier(taskId) {
    const seat = this.#logs.get(taskId);
    const before = seat?.log.firstSeq ?? 0;
    if (before <= 1) return false;
    const from = Math.max(1, before - TAIL);
    const page = await this.#link.request(
      { type: "logs", task_id: taskId, from_seq: from, limit: before - from },
      { own: true },
    );
    const lines = page.lines.filter((line) => line.seq < before);
    seat.log.addEarlier(lines, (seq) => seat.bounds.take(seq));
    for (const listener of seat.listeners) listener();
    return lines.length > 0 && lines[0].seq > page.first_seq;
  }

  get logged() {
    return this.#logged;
  }

  // The answer itself, in its place among the messages.
  #subscribed(reply) {
    this.#with(reply, (seat) => {
      const back = seat.away;
      seat.away = false;
      seat.syncing = false;
      seat.catching = false;
      if (!reply.created_at) {
        if (back) seat.log.addNote(KIND.bad, "connected again; the server no longer knows this task", now());
        seat.createdAt = "";
        seat.fresh = true;
        return;
      }
      if (seat.createdAt && seat.createdAt !== reply.created_at) {
        this.#anew(seat, "connected again; this is a new task with the same id");
        // What follows is the new one's lines after the old one's last: ask again, from the first.
        if (seat.asked > 0) this.#subscribe(seat, { hold: true });
      } else if (back) {
        seat.log.addNote(KIND.note, "connected again", now());
      }
      seat.createdAt = reply.created_at;
    });
  }

  #anew(seat, text) {
    if (seat.log.length) seat.log.addNote(KIND.note, text, now());
    seat.log.endPartials();
    seat.lastSeq = 0;
    seat.exits.clear();
    seat.createdAt = "";
  }

  #output(chunk) {
    const seat = this.#logs.get(chunk.task_id);
    if (!seat || seat.syncing) return;
    if (seat.fresh) {
      seat.fresh = false;
      if (chunk.seq <= seat.lastSeq) this.#anew(seat, "a new task with the same id");
    }
    const skip = Math.max(0, seat.lastSeq + 1 - chunk.seq);
    if (skip >= chunk.lines.length) return;
    if (chunk.seq > seat.lastSeq + 1) this.#missing(seat, seat.lastSeq + 1, chunk.seq - 1, chunk.ts);
    seat.bounds.addTo(seat.log, chunk, skip);
    seat.lastSeq = chunk.seq + chunk.lines.length - 1;
    this.#touched.add(seat);
  }

  #gap(seat, gap) {
    if (seat.fresh && gap.from_seq <= seat.lastSeq) this.#anew(seat, "a new task with the same id");
    seat.fresh = false;
    if (gap.to_seq <= seat.lastSeq) return;
    // The end of what was skipped may be the end of all, and that is what one wants to see: ask for what the
    // server still has. The gap before it is noted when the next line comes, from whichever side.
    seat.catching = true;
    this.#subscribe(seat);
  }

  #missing(seat, from, to, ts) {
    const number = to - from + 1;
    if (from === 1) {
      const where = this.#logged ? "not shown" : "no longer stored by the server";
      seat.log.addNote(KIND.gap, `${many(number, "earlier line")} ${where}`, ts, from);
      return;
    }
    seat.log.missed += number;
    const which = number === 1 ? `line ${count(from)}` : `lines ${count(from)} to ${count(to)}`;
    const text = `${many(number, "line")} not shown (${which})`;
    seat.log.addNote(KIND.gap, text, ts, from);
  }

  #started(seat, event) {
    seat.signal = "";
    seat.log.endPartials();
    if (!event.restart_of) seat.fresh = true;
    const pid = event.pid ? `, pid ${event.pid}` : "";
    const where = event.host ? ` on ${event.host}` : "";
    seat.log.addNote(KIND.begun, `${event.restart_of ? "started again" : "started"}${pid}${where}`, event.ts);
  }

  #exited(seat, event) {
    const key = `${event.pid} ${event.ts}`;
    // It comes again behind the last stored line: of a subscription, not of the replay that somebody else asked for.
    if (seat.syncing || seat.catching || seat.exits.has(key)) return;
    seat.exits.add(key);
    seat.log.endPartials();
    if (seat.exits.size > EXITS) seat.exits.delete(seat.exits.values().next().value);
    seat.signal = event.signal ?? "";
    const how = event.signal ? `ended by ${event.signal}` : `exit code ${event.exit_code}`;
    const after = event.reason ? ` after ${exactly(event.duration_ms)}` : "";
    const why = WHY[event.reason] ?? (event.intentional ? ", as requested" : "");
    const fine = event.intentional || (event.exit_code === 0 && !["timeout", "unhealthy", "lost"].includes(event.reason));
    seat.log.addNote(fine ? KIND.ended : KIND.broke, how + after + why, event.ts);
  }
}

const now = () => new Date().toISOString();
