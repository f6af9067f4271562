// The address of a line of a task's output: its task, and its seq.

import { addressOf, parsed } from "./router.js";

export const lineAddress = (taskId, seq) => addressOf("tasks", [taskId], { line: seq });

/** What an address says of a line: {taskId, seq}, or null. */
export function addressedLine({ view, path: [taskId], fields: { line } } = parsed()) {
  return view === "tasks" && taskId && Number(line) > 0 ? { taskId, seq: Number(line) } : null;
}
