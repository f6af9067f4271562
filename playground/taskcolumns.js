// The columns of the table of tasks: what they are called, how they sort, what is searched.

import { duration, paramsText } from "./format.js";
import { STATES, isOver } from "./states.js";

/** [name, heading, what to sort by, whether the greatest comes first] */
export const COLUMNS = [
  ["status", "State", (task) => STATES[task.status]?.order ?? 9],
  ["id", "Task", (task) => task.task_id],
  ["action", "Action", (task) => task.action],
  ["params", "Parameters", (task) => paramsText(task.params)],
  ["pid", "PID", (task) => task.current_pid ?? 0, true],
  ["time", "Time", (task) => task.last_started_at ?? task.queued_at ?? task.created_at, true],
  ["restarts", "Restarts", (task) => task.restart_count, true],
  ["exit", "Last exit", (task) => task.last_exit_code ?? -1000, true],
  ["created", "Created", (task) => task.created_at, true],
];

/** Tasks by one column, newest first where that says nothing. */
export function sorted(tasks, { by, down }) {
  const [, , key] = COLUMNS.find(([name]) => name === by);
  const sign = down ? -1 : 1;
  const keyed = tasks.map((task) => [key(task), task]);
  keyed.sort(([a, one], [b, other]) => sign * compare(a, b) || compare(other.created_at, one.created_at));
  return keyed.map(([, task]) => task);
}

/** Everything about a task that one may look for, in lower case. */
export function searched(task) {
  const { task_id: id, action, params, error_message: error = "", current_pid: pid = "", host = "" } = task;
  return `${id} ${action} ${paramsText(params)} ${error} ${pid} ${host}`.toLowerCase();
}

/** What ticks: how long it runs or waits; how long it ran, once it is over. `now` is the server's, in ms. */
export function timeText(task, now) {
  const since = (from, to) => duration((to ? Date.parse(to) : now) - Date.parse(from));
  if (task.status === "queued") return `waits ${since(task.queued_at ?? task.created_at)}`;
  if (!task.last_started_at) return "";
  if (isOver(task.status) || task.status === "errored" || task.status === "restarting") {
    return task.last_exited_at ? `ran ${since(task.last_started_at, task.last_exited_at)}` : "";
  }
  return since(task.last_started_at);
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
