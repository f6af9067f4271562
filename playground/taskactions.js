// What can be done to a task: stop, restart, signal, reset, start again.

import { h, iconButton, named } from "./dom.js";
import { isUuid } from "./format.js";
import { attempt, confirm, say } from "./notices.js";
import { isOver } from "./states.js";
import { allowed } from "./auth.js";
import { nameOf, shortId } from "./names.js";
import { agreed, sayStarted, secretsOf, startTask } from "./starting.js";

/** What its state and the role allow: some of "stop", "restart", "signal", "reset", "again", "forget". */
function possible(app, task) {
  if (!app.link.connected) return [];
  const acts = [];
  if (task.status === "errored") acts.push("reset");
  if (isOver(task.status)) acts.push("again");
  else if (task.status !== "errored") acts.push("stop");
  if (task.status === "running" || task.status === "restarting") acts.push("restart");
  if (task.status === "running" && task.current_pid) acts.push("signal");
  if ((isOver(task.status) || task.status === "errored") && app.can("forget")) acts.push("forget");
  return acts.filter((act) => allowed(act === "again" ? "start" : act));
}

/** Which of them begins a run, that of the key "r". */
export function beginning({ status }) {
  if (status === "errored") return "reset";
  return status === "running" || status === "restarting" ? "restart" : "again";
}

const BUTTONS = {
  stop: ["stop", "Stop", "x", "Stop"],
  restart: ["again", "Restart", "r", "Restart"],
  signal: ["send", "Send a signal", "s", "Signal…"],
  reset: ["reset", "Reset: start over", "r", "Reset"],
  forget: ["purge", "Take it off the list; its history is kept", "", "Forget"],
  again: ["again", "Start again with the same parameters", "r", "Start again"],
};

/**
 * Let the buttons at the end of `place` be those of the task. One that stays is not touched, and new ones come
 * behind it: a click is lost when its button goes or moves between press and release. `tabbable`: whether Tab
 * comes by (in the table, keys do it). `only`: no others than these; `words`: with words on them,
 * true or which.
 */
export function showButtons(place, app, task, { tabbable = true, only = null, words = false } = {}) {
  const shown = (act) => (only ? only.includes(act) : act !== "forget" || words === true); // where there is room
  const wanted = task ? possible(app, task).filter(shown) : [];
  const there = new Map();
  for (const button of place.querySelectorAll("[data-act]")) {
    const { act, task: id } = button.dataset;
    if (id === task?.task_id && wanted.includes(act)) there.set(act, button);
    else button.remove();
  }
  let next = null;
  for (const act of wanted.toReversed()) {
    const button = there.get(act) ?? makeButton(app, act, task.task_id, tabbable, words);
    if (!there.has(act)) place.insertBefore(button, next);
    next = button;
  }
}

function makeButton(app, act, taskId, tabbable, words) {
  const [name, label, key, word] = BUTTONS[act];
  const look = words === true || (words && words.includes(act)) ? { text: word, kind: act === "stop" || act === "forget" ? "harm" : "plain" } : {};
  const button = iconButton(name, label, () => perform(app, act, taskId), { key, ...look });
  button.classList.add(`act-${act}`);
  Object.assign(button.dataset, { act, task: taskId });
  if (!tabbable) button.tabIndex = -1;
  return button;
}

/** Do one of them, after a question where it hurts. */
export async function perform(app, act, taskId) {
  const task = app.store.tasks.get(taskId);
  if (!task || !possible(app, task).includes(act)) return;
  if (act === "stop") await stop(app, task);
  else if (act === "restart") await restart(app, task);
  else if (act === "signal") await signal(app, task);
  else if (act === "reset") await attempt(() => app.link.request({ type: "reset", task_id: taskId }));
  else if (act === "forget") app.views.tasks.forget(taskId);
  else await startAgain(app, task);
  app.store.refresh();
}

async function stop(app, task) {
  const id = named(task.task_id);
  if (task.status !== "queued" && task.status !== "waiting") {
    const text =
      task.status === "restarting"
        ? [id, " is awaiting its restart, which will be cancelled."]
        : [id, " and every process it started get SIGTERM, and SIGKILL if they do not exit."];
    if (!(await confirm("Stop this task?", text, "Stop"))) return;
  }
  await attempt(() => app.link.command({ type: "stop", task_id: task.task_id }));
}

async function restart(app, task) {
  const id = named(task.task_id);
  if (task.status === "running") {
    const text = [id, " and every process it started are stopped; then it starts with the same parameters."];
    if (!(await confirm("Restart this task?", text, "Restart"))) return;
  }
  await attempt(() => app.link.request({ type: "restart", task_id: task.task_id }));
}

const SIGNALS = ["HUP", "USR1", "USR2", "INT", "QUIT", "TERM", "CONT", "STOP", "KILL"];

async function signal(app, task) {
  const select = h("select", { "aria-label": "Signal" }, SIGNALS.map((name) => h("option", { value: name }, `SIG${name}`)));
  const text = [named(task.task_id), " and every process in its group get ", select];
  if (!(await confirm("Send a signal?", text, "Send"))) return;
  const sent = { type: "signal", task_id: task.task_id, signal: select.value };
  if (await attempt(() => app.link.request(sent))) say([`SIG${select.value} sent to `, named(task.task_id)]);
}

/** Start a task, or one that is only in the history, again with its parameters. */
export async function startAgain(app, task) {
  const params = task.params ?? {};
  const secrets = secretsOf(app, task.action);
  if (Object.keys(params).some((name) => secrets.has(name))) {
    // The server does not show what was given.
    const rest = Object.entries(params).filter(([name]) => !secrets.has(name));
    app.show("actions");
    app.views.actions.fillIn(task.action, Object.fromEntries(rest));
    say("Give its secrets again, and start it.");
    return;
  }
  const request = { type: "start", action: task.action, params };
  if (!isUuid(task.task_id)) request.task_id = task.task_id;
  const usual = app.store.action(task.action)?.retry;
  if (task.retry_policy && JSON.stringify(task.retry_policy) !== JSON.stringify(usual)) {
    request.retry_policy = task.retry_policy;
  }
  if (!(await agreed(app, task.action))) return;
  await attempt(async () => {
    const reply = await startTask(app, request, { open: app.watch.follows(task.task_id) });
    sayStarted(app, reply, nameOf(app.store, task));
  });
}
