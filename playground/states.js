// What a task's fields mean to a person: one word, one icon, one colour.

export const STATES = {
  starting: { label: "Starting", icon: "dots", order: 0 },
  running: { label: "Running", icon: "run", order: 1 },
  restarting: { label: "Restarting", icon: "again", order: 2 },
  queued: { label: "Queued", icon: "queue", order: 3 },
  waiting: { label: "Waiting", icon: "dots", order: 3 },
  errored: { label: "Errored", icon: "bad", order: 4 },
  failed: { label: "Failed", icon: "cross", order: 5 },
  stopped: { label: "Stopped", icon: "stop", order: 6 },
  succeeded: { label: "Succeeded", icon: "check", order: 7 },
  lost: { label: "Lost", icon: "lost", order: 8 },
};

/** The states that a run in the history may be in. */
export const RUN_STATES = ["running", "succeeded", "failed", "stopped", "lost"];

/** The name of the state that a TaskInfo is in, one of STATES. */
export function stateOf(task) {
  if (task.waiting_on?.length) return "waiting";
  if (task.state !== "active") return task.state in STATES ? task.state : "stopped";
  if (task.worker_state === "running") return "running";
  if (!task.worker_state) return "starting";
  if (task.retry_policy && (task.retry_policy.restart_on !== "failure" || failed(task))) {
    return "restarting";
  }
  return failed(task) ? "failed" : "succeeded";
}

/** Whether the latest run failed: by its exit code, or by why it ended. */
function failed(task) {
  if (["timeout", "oom", "unhealthy", "start_failed", "lost"].includes(task.reason)) return true;
  return !(task.success_codes ?? [0]).includes(task.last_exit_code);
}

/** The word for where a task stands; one that runs may be known to be ready. */
export function wordOf(task) {
  if (task.ready) return "Ready";
  return STATES[task.status]?.label ?? task.status;
}

/** Whether its run is known not to work. */
export const isUnhealthy = (task) => task.health === "unhealthy";

/** Whether nothing of the task runs or will. */
export const isOver = (state) => state === "stopped" || state === "succeeded" || state === "failed";

/** Whether a run of it goes on, or is to begin: how the one before it ended is not its result. */
export const isUnderWay = (state) => ["starting", "running", "queued", "waiting"].includes(state);

/** How it ended and why, on one line; "" while it runs. */
export function resultText(task, signal) {
  if (isUnderWay(task.status)) return "";
  return [exitText(task, signal), task.error_message].filter(Boolean).join(": ");
}

/** How the latest run ended, in a word or two. */
export function exitText(task, signal = "") {
  if (task.last_exit_code === undefined) return "";
  if (!["exited", "signal", "stopped", undefined].includes(task.reason)) return task.reason;
  if (task.last_exit_code === -1) return task.last_signal || signal || "signal";
  return `exit ${task.last_exit_code}`;
}
