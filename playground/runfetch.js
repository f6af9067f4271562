// What the log and the history have no single question for: one run, and all of its lines.

import { download } from "./dom.js";
import { say } from "./notices.js";

const PAGES = 20; // of runs that are looked through
const MOST = 100_000_000; // characters that are downloaded

/** The run of a task with this id, or undefined. Throws what the link does. */
export async function findRun(link, taskId, runId) {
  let before = "";
  for (let page = 0; page < PAGES; page += 1) {
    const request = { type: "runs", task_id: taskId, limit: page ? 1000 : 100, ...(before ? { before } : {}) };
    const { runs, next } = await link.request(request, { own: true });
    const found = runs.find(({ run_id: id }) => id === runId);
    if (found || !next) return found;
    before = next;
  }
  return undefined;
}

/** Let the browser save all lines, as RunLines reads them. Throws what the link does. */
export async function saveRun(lines) {
  const { task_id: taskId, number } = lines.run;
  const parts = [];
  let size = 0;
  await lines.read((text) => {
    parts.push(text);
    size += text.length;
    return size < MOST;
  });
  if (size >= MOST) say("It is cut after a hundred million characters: overseerctl logs has all of it");
  download(`${taskId}-${number}.log`, parts.join(""));
}
