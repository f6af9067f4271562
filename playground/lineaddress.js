// The address of a place in a task's output: its task, and a line's seq or a time.

import { addressOf, parsed } from "./router.js";

export const lineAddress = (taskId, seq) => addressOf("tasks", [taskId], { line: seq });

export const timeAddress = (taskId, time) => addressOf("tasks", [taskId], { at: time });

/** What an address says of a place in an output: {taskId, line (its seq, or 0), at (a timestamp, or "")}, or null. */
export function addressedPlace({ view, path: [taskId], fields: { line, at = "" } } = parsed()) {
  const seq = Number(line) || 0;
  return view === "tasks" && taskId && (seq > 0 || at) ? { taskId, line: seq, at } : null;
}
