// What a run's fields mean to a person.

import { h, icon, named } from "./dom.js";
import { exactly, many } from "./format.js";
import { addressOf } from "./router.js";
import { STATES } from "./states.js";

/** Its status: icon and word. */
export function statusOf({ status }) {
  const { icon: name, label } = STATES[status] ?? { icon: "dots", label: status };
  return h(`span.state.s-${status}`, null, icon(name), h("span", null, label));
}

/** The state to show for an action's latest run: where its task stands, if that is the next thing that became of a failure. */
export function standingOf(store, { task_id: id, status }) {
  const task = status === "failed" ? store.tasks.get(id) : undefined;
  return ["errored", "restarting", "stopped"].includes(task?.status) ? task.status : status;
}

/** Whether it ended as it began: its task was still queued, or could not be started. */
export const neverRan = ({ started, ended }) => ended === started;

/** How it ended, in a word or two. */
export function exitOf(run) {
  const { exit_code: code, reason, signal } = run;
  if (code === undefined) return "";
  if (!["exited", "signal", "stopped"].includes(reason)) return reason.replaceAll("_", " ");
  if (neverRan(run)) return "never ran";
  return code === -1 ? signal || "signal" : `exit ${code}`;
}

/** How long it lasted, in ms, up to `now` if it goes on; null: unknown, or it never ran. */
export function lastedOf(run, now) {
  if (run.status === "lost" || neverRan(run)) return null;
  return Math.max(0, run.duration_ms ?? now - Date.parse(run.started));
}

/** Who or what started it, as nodes. */
export function byOf({ type, by = "" }) {
  if (type === "client") return by ? ["by ", named(by)] : ["client"];
  if (!by || by === type) return [type];
  return by.startsWith(`${type}:`) ? [`${type} `, named(by.slice(type.length + 1))] : [`${type}: `, named(by)];
}

/** The notes before and behind its lines: {head: [...], foot}; `previous`: the run that went before, if it was shown. */
export function notesOf(run, previous = null) {
  const { trigger, status, reason, signal, exit_code: code, error, duration_ms: ms } = run;
  const { type, by: who = "" } = trigger;
  const itself = who === type || who.startsWith(`${type}:`); // it says what it is
  const by = who ? `, ${type === "client" || itself ? "" : `${type} `}by ${who}` : "";
  const wasQueued = neverRan(run) && run.queued;
  const begun = { text: `run #${run.number} ${wasQueued ? "was queued" : "started"}${by}`, ts: wasQueued || run.started, begun: true };
  const before = previous && notesOf(previous).foot;
  const head = before ? [{ ...before, text: `run #${previous.number}: ${before.text}` }, begun] : [begun];
  if (status === "running") return { head, foot: null };
  const foot = { ts: run.ended ?? "", fine: status === "succeeded" || status === "stopped", text: "" };
  if (status === "lost" && !neverRan(run)) foot.text = "the server ended before it did: how it ended is unknown";
  else if (error) foot.text = error;
  else {
    const how = signal ? `ended by ${signal}` : `exit code ${code}`;
    const why = { timeout: ", for it ran too long", oom: ", for lack of memory", unhealthy: ", for it was unhealthy", shutdown: ", with the server", stopped: ", as requested" };
    foot.text = `${how} after ${exactly(ms)}${why[reason] ?? ""}`;
  }
  if (run.gave_up) foot.text += `; gave up after ${many(run.gave_up, "exit")}`;
  return { head, foot };
}

/** Where a run's page is, in the page's address; `seq`: at this line. */
export const runAddress = ({ task_id: taskId, run_id: runId }, seq = 0) =>
  addressOf("history", [taskId, runId, ...(seq ? [seq] : [])]);
