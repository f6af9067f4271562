// What things are called: an action by its title, a task by its action and what it was given ("build main"), and only
// then by its id, which is short where it was made up.

import { h, iconButton } from "./dom.js";
import { isUuid } from "./format.js";
import { copyText } from "./copy.js";
import { say } from "./notices.js";

const SHORT = 8; // characters of an id that was made up
// What says nothing without the name of its parameter.
const BARE = /^(-?[0-9.]+|true|false)$/;
const LONGEST = 28; // characters of a value within a name

/** An id as people read it: a name somebody chose as it is, one that was made up by its beginning. */
export const shortId = (id) => (isUuid(id) ? id.slice(0, SHORT) : id);

/** What people call an action. */
export const titleOf = (store, action) => store.action(action)?.title || action;

/** What people call a task, or a run: its action, and what it was given that is not the default. */
export function nameOf(store, { action, params }) {
  const specs = store.action(action)?.params;
  const values = Object.entries(params ?? {})
    .filter(([name, value]) => value !== "" && (!specs || tells(specs, name, value)))
    .map(([name, value]) => (BARE.test(value) ? `${name}=${value}` : brief(value)));
  return [titleOf(store, action), ...values].join(" ");
}

// Whether it makes a difference: the action declares it, and would have taken another value; and may be shown.
const tells = (specs, name, value) => name in specs && specs[name]?.type !== "secret" && specs[name]?.default !== value;

/** What people call a task of which the id is known, and its action unless it is forgotten. */
export function nameById(store, id, action = "") {
  const task = store.tasks.get(id) ?? (action && { action });
  return task ? nameOf(store, task) : shortId(id);
}

function brief(value) {
  const line = value.split("\n", 1)[0];
  if (line.length <= LONGEST && line === value) return value;
  return `${line.slice(0, LONGEST - 1)}…`;
}

/** A button that copies; `what`: said of it. */
export function copyButton(what, text) {
  const copy = async (event) => {
    event.stopPropagation();
    if (await copyText(typeof text === "function" ? text() : text)) say(`Copied ${what}`);
  };
  return iconButton("copy", `Copy ${what}`, copy);
}

/** An id, short, copied by a press. */
export function idOf(id) {
  const press = async (event) => {
    event.stopPropagation();
    if (await copyText(id)) say("Copied its id");
  };
  return h("button.id", { type: "button", title: `Copy ${id}`, onclick: press }, h("bdi", null, shortId(id)));
}
