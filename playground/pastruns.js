// Runs of the history by when they began, in so many equal parts of a time, summed up by the server.

export const OUTCOMES = ["succeeded", "running", "stopped", "lost", "failed"];

const HOUR = 3_600_000;

/**
 * Ask what became of the runs from `since` until `until` (ms, the server's), of `action` or of all, in so many `parts`:
 * {parts: [{from, to, …RunStats}], actions: [{action, parts: Map(number -> RunStats), …RunStats}], total: RunStats}.
 * `actions` are all there were, those with most runs first. Throws what the link does.
 */
export async function pastRuns(link, { since, until, action, parts: number }) {
  const long = (until - since) / number;
  const time = { type: "run_stats", since: new Date(since).toISOString(), until: new Date(until).toISOString() };
  const ask = async (more) => (await link.request({ ...time, ...more }, { own: true })).stats;
  const of = action && { action };
  const every = long / 1000;
  const [whole, sums, byPart, byBoth] = await Promise.all([
    ask(of || {}),
    ask({ by_action: true }),
    ask({ ...of, every }),
    ask({ every, by_action: true }),
  ]);
  const numberOf = ({ start }) => Math.round((Date.parse(start) - since) / long);
  const parts = Array.from({ length: number }, (_, at) => ({ from: since + at * long, to: since + (at + 1) * long, ...NOTHING }));
  for (const each of byPart) Object.assign(parts[numberOf(each)] ?? {}, each);
  const actions = new Map(sums.map((each) => [each.action, { ...each, parts: new Map() }]));
  for (const each of byBoth) actions.get(each.action)?.parts.set(numberOf(each), each);
  return { parts, actions: [...actions.values()].sort((one, other) => other.runs - one.runs), total: whole[0] ?? NOTHING };
}

const NOTHING = { runs: 0, duration_ms: 0, ...Object.fromEntries(OUTCOMES.map((name) => [name, 0])) };

/** The end of the part of a time that `now` is in, in ms; parts of hours begin with the day, here. */
export function endOfPart(now, long) {
  const zone = long > HOUR / 2 ? new Date(now).getTimezoneOffset() * 60_000 : 0;
  return Math.ceil((now - zone) / long) * long + zone;
}
