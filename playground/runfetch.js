// What the log and the history have no single question for: one run; and all lines, as a file.

import { HOME } from "./auth.js";
import { h } from "./dom.js";
import { beside } from "./reach.js";

const PAGES = 20; // of runs that are looked through

/** The latest run of a task that `wanted` (run) says yes to, or undefined. Throws what the link does. */
export async function findRun(link, taskId, wanted) {
  let before = "";
  for (let page = 0; page < PAGES; page += 1) {
    const request = { type: "runs", task_id: taskId, limit: page ? 1000 : 100, ...(before ? { before } : {}) };
    const { runs, next } = await link.request(request, { own: true });
    const found = runs.find(wanted);
    if (found || !next) return found;
    before = next;
  }
  return undefined;
}

/** Let the browser save all that the server has of "tasks/ID" or "runs/ID", however much that is. */
export function saveLog(of, name) {
  h("a", { href: beside(HOME, `api/v1/${of}/output`), download: name }).click();
}
