// The columns of the table of tasks: what they are called, how they sort, what is searched.

import { duration, exactly, paramsText } from "./format.js";
import { nameOf } from "./names.js";
import { STATES, isOver, isUnderWay } from "./states.js";

/** [name, heading, what to sort by (task, store), whether the greatest comes first] */
export const COLUMNS = [
  ["status", "State", (task) => STATES[task.status]?.order ?? 9],
  ["name", "Task", (task, store) => nameOf(store, task)],
  ["id", "Id", (task) => task.task_id],
  ["time", "Took", (task) => task.duration_ms ?? 0, true],
  ["when", "When", (task) => whenIs(task), true],
  ["restarts", "Restarts", (task) => task.restart_count, true],
  ["exit", "Result", (task) => (isUnderWay(task.status) ? undefined : task.last_exit_code) ?? -1000, true],
];

/** The order of those who have chosen none: what came last is first. */
export const NEWEST = { by: "created", down: true };

/** Tasks by one column, newest first where that says nothing. */
export function sorted(tasks, { by, down }, store) {
  const [, , key] = COLUMNS.find(([name]) => name === by) ?? ["", "", (task) => task.created_at];
  const sign = down ? -1 : 1;
  const keyed = tasks.map((task) => [key(task, store), task]);
  keyed.sort(([a, one], [b, other]) => sign * compare(a, b) || compare(other.created_at, one.created_at));
  return keyed.map(([, task]) => task);
}

/** Everything about a task that one may look for, in lower case. */
export function searched(task, store) {
  const { task_id: id, action, params, error_message: error = "", current_pid: pid = "", host = "" } = task;
  return `${id} ${nameOf(store, task)} ${action} ${paramsText(params)} ${error} ${pid} ${host}`.toLowerCase();
}

/** What ticks: how long it runs or waits; how long it ran, once it is over. `now` is the server's, in ms. */
export function timeText(task, now) {
  const since = (from, to) => (to ? Date.parse(to) : now) - Date.parse(from);
  if (task.status === "queued") return `waits ${duration(since(task.queued_at ?? task.created_at))}`;
  if (!task.last_started_at) return "";
  if (isOver(task.status) || task.status === "errored" || task.status === "restarting") {
    if (!task.last_exited_at) return "";
    return exactly(task.duration_ms ?? since(task.last_started_at, task.last_exited_at));
  }
  return duration(since(task.last_started_at));
}

/** When something last happened to it. */
export function whenIs(task) {
  const over = isOver(task.status) || task.status === "errored" || task.status === "restarting";
  if (over && task.last_exited_at) return task.last_exited_at;
  if (task.status === "queued") return task.queued_at ?? task.created_at;
  return task.last_started_at ?? task.created_at;
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
