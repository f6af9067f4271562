// Having the server become the program that is installed now: tried first, told, and asked.

import { many } from "./format.js";
import { Lost } from "./link.js";
import { confirm, say } from "./notices.js";
import { allowed, seesAll } from "./auth.js";

const TRIED_WITHIN = 90_000; // ms; the new program may take its time to start
const DONE_WITHIN = 180_000;

/** Whether we may ask for it. */
export const mayUpgrade = () => allowed("upgrade") && seesAll();

/** Do it; meanwhile the button that was pressed cannot be. */
export async function upgrade(link, button) {
  button.disabled = true;
  try {
    await tryAndAsk(link);
  } catch (error) {
    say(error.message, { bad: true });
  } finally {
    button.disabled = false;
  }
}

async function tryAndAsk(link) {
  const note = say("Trying whether the installed program can take over…", { lasts: TRIED_WITHIN });
  let found;
  try {
    found = await ask(link, { check: true }, TRIED_WITHIN);
  } finally {
    note.remove();
  }
  const left = [...(found.ended ?? []).map((name) => `the task ${name}`), ...(found.services ?? []).map((name) => `the service of ${name}`)];
  const kept = `${many(found.tasks, "running task")} and ${many(found.clients, "connection")} go on.`;
  const ends = left.length ? ` These cannot, and are ended: ${left.join(", ")}.` : "";
  const title = found.from === found.to ? `Execute ${found.to} anew?` : `Upgrade from ${found.from} to ${found.to}?`;
  const yes = left.length ? "End them and upgrade" : "Upgrade";
  if (!(await confirm(title, `${kept}${ends}`, yes, { harm: left.length > 0 }))) return;
  const done = await ask(link, left.length ? { force: true } : {}, DONE_WITHIN).catch((error) => outcome(link, error));
  say(`The server is ${done.to} now, after a pause of ${done.pause_ms} ms.`);
}

const ask = (link, wanted, within) => link.request({ type: "upgrade", ...wanted }, { within });

// An encrypted connection does not outlive an upgrade: on the next one, ask what has come of it.
async function outcome(link, error) {
  if (!(error instanceof Lost)) throw error;
  await new Promise((resolve) => {
    if (link.connected) resolve();
    else link.on("status", () => link.connected && resolve());
  });
  const { last } = await ask(link, { check: true }, TRIED_WITHIN);
  if (!last) throw error;
  if (last.error) throw new Error(last.error);
  return last;
}
