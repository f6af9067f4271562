// Starting something from where it is shown: at once, or through its form; after a question where its action has one.

import { h, named } from "./dom.js";
import { nameOf, titleOf } from "./names.js";
import { attempt, confirm, say } from "./notices.js";
import { addressOf, go } from "./router.js";

/** Ask what an action has people asked before a start; whether to go on. */
export async function agreed(app, name) {
  const action = app.store.action(name);
  if (!action?.confirm) return true;
  return confirm(`Start ${titleOf(app.store, name)}?`, action.confirm, "Start", { harm: false });
}

/** Start an action, or open its form; what was started is told, with a way to its output. */
export async function startHere(app, action, { atOnce }) {
  if (!atOnce) {
    go(addressOf("actions", [action.name]));
    app.views.actions.focus();
    return;
  }
  if (!(await agreed(app, action.name))) return;
  await attempt(async () => {
    const reply = await startTask(app, { type: "start", action: action.name, params: {} }, { open: false });
    sayStarted(app, reply, nameOf(app.store, { action: action.name }));
  });
}

/** Tell that a task was started, or waits. */
export function sayStarted(app, reply, name) {
  const show = () => {
    go(addressOf("tasks", [reply.task_id]));
    app.panes.open(reply.task_id, { focus: true, instead: true });
  };
  const queued = reply.type === "queued";
  const text = queued ? ["Queued ", h("b", null, named(name)), `, position ${reply.position}`] : ["Started ", h("b", null, named(name))];
  const isShown = () => app.panes.has(reply.task_id) && app.hasOutputs();
  if (isShown()) {
    say(text);
    return;
  }
  const note = say(text, { act: ["Show output", show] });
  const heard = app.panes.onChange(() => {
    if (isShown()) note.remove();
    if (!note.isConnected) heard();
  });
}

/**
 * Send a start and return the answer; `open`: show the output. Rejects as link.request does.
 *
 * The task's id is chosen here when the person did not, so that its log is there before its first line.
 */
export async function startTask(app, request, { open }) {
  const taskId = request.task_id || newTaskId();
  const isNew = open && !app.watch.follows(taskId);
  if (isNew) app.watch.follow(taskId, { starting: true });
  try {
    const whole = { ...request, task_id: taskId, ...app.watch.wanted };
    const secrets = secretsOf(app, request.action);
    const params = Object.entries(request.params).map(([name, value]) => [name, secrets.has(name) ? "***" : value]);
    const reply = await app.link.request(whole, { shown: { ...whole, params: Object.fromEntries(params) } });
    if (open) {
      app.watch.confirm(taskId);
      app.panes.open(taskId, { passing: true });
    } else {
      app.watch.release(taskId);
    }
    app.store.refresh();
    for (const warning of reply.warnings ?? []) say(warning, { bad: true });
    return reply;
  } catch (error) {
    if (isNew) app.watch.drop(taskId);
    throw error;
  }
}

/** The names of an action's secrets. */
export function secretsOf(app, action) {
  const params = Object.entries(app.store.action(action)?.params ?? {});
  return new Set(params.filter(([, spec]) => spec?.type === "secret").map(([name]) => name));
}

// A UUID4; crypto.randomUUID is there only where the page came over HTTPS or from this machine.
function newTaskId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
