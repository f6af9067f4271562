// Runs of the history by when they began, in so many equal parts of a time: how many ended how, and how long they took.

const PAGE = 1000;
const MOST = 20_000; // runs that are fetched for one picture

export const OUTCOMES = ["succeeded", "failed", "lost", "stopped", "running"];

/**
 * Ask for the runs from `since` until `until` (ms, the server's), of `action` or of all, and count them in `parts`:
 * {parts: [{from, to, runs, counts: {outcome: number}, took: [ms…, sorted]}], actions: Map(action -> the same), whole}.
 * `whole`: whether all of them are in. `going` tells whether the answer is still wanted. Throws what the link does.
 */
export async function pastRuns(link, { since, until, action, parts: number }, going) {
  const runs = [];
  let before = "";
  do {
    const request = { type: "runs", limit: PAGE, since: new Date(since).toISOString(), ...(action && { action }), ...(before && { before }) };
    const page = await link.request(request, { own: true });
    if (!going()) return null;
    runs.push(...page.runs);
    before = page.next ?? "";
  } while (before && runs.length < MOST);
  const long = (until - since) / number;
  const parts = Array.from({ length: number }, (_, at) => ({ from: since + at * long, to: since + (at + 1) * long, ...nothing() }));
  const actions = new Map();
  for (const run of runs) {
    const at = Math.floor((Date.parse(run.started) - since) / long);
    if (at >= 0 && at < number) count(parts[at], run);
    if (!actions.has(run.action)) actions.set(run.action, nothing());
    count(actions.get(run.action), run);
  }
  for (const { took } of [...parts, ...actions.values()]) took.sort((one, other) => one - other);
  return { parts, actions, whole: !before, total: runs.length };
}

const nothing = () => ({ runs: 0, counts: Object.fromEntries(OUTCOMES.map((name) => [name, 0])), took: [] });

function count(part, { status, duration_ms: ms }) {
  part.runs += 1;
  part.counts[status] = (part.counts[status] ?? 0) + 1;
  if (ms !== undefined && status !== "lost") part.took.push(ms);
}

/** The value below which a share of sorted values lies; 0 for none. */
export const quantile = (values, share) => (values.length ? values[Math.min(values.length - 1, Math.floor(values.length * share))] : 0);
