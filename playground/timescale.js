// The scale of the timeline: where times are, and which of them are written below it.

const SECOND = 1000;
const DAY = 86_400_000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200]
  .map((seconds) => seconds * SECOND)
  .concat([1, 2, 7, 14, 30, 90, 365].map((days) => days * DAY));
const VOID = 0.3; // the share of all time without a start or an end from which on it is drawn as
const FOLDED = 5; // % of the width only

/**
 * Where times are: `at` (ms) in % of the width, and the way back, `timeAt` (a share of it). Long times in which nothing
 * starts or ends are `voids`, [from, to]: folded, or one long run would leave no room for many short ones.
 */
export function scaleOf(spans, first, last) {
  const moments = [...new Set(spans.flatMap(({ from, to }) => [from, to]).concat(last))].sort((a, b) => a - b);
  const gaps = moments.slice(1).map((to, index) => [moments[index], to]).sort(([a, b], [c, d]) => d - c - (b - a));
  const voids = [];
  let left = last - first;
  for (const [from, to] of gaps) {
    if (to - from < VOID * left || voids.length === 4 || to - from > left - 1) break;
    voids.push([from, to]);
    left -= to - from;
  }
  voids.sort(([a], [b]) => a - b);
  const wide = 100 - FOLDED * voids.length;
  const at = (time) => {
    let passed = time - first;
    let share = 0;
    for (const [from, to] of voids) {
      if (time <= from) break;
      const within = Math.min(time, to) - from;
      passed -= within;
      share += FOLDED * (within / (to - from));
    }
    return share + (passed / left) * wide;
  };
  const timeAt = (where) => {
    let [low, high] = [first, last];
    for (let step = 0; step < 40; step += 1) {
      const middle = (low + high) / 2;
      if (at(middle) < where * 100) low = middle;
      else high = middle;
    }
    return low;
  };
  return { at, timeAt, voids, left };
}

/** Round times between two, {at, text}, at most so many, and none where time is folded. */
export function ticksOf(first, last, { at: placeOf, voids, left }, most) {
  const step = STEPS.find((each) => left / each <= most) ?? STEPS.at(-1);
  const zone = new Date(first).getTimezoneOffset() * 60 * SECOND;
  const ticks = [];
  let day = "";
  let taken = -100; // % of the width, up to where there are words
  for (let at = Math.ceil((first - zone) / step) * step + zone; at <= last; at += step) {
    const hidden = voids.find(([from, to]) => from <= at && at < to);
    if (hidden) {
      at += Math.floor((hidden[1] - at) / step) * step;
      continue;
    }
    const time = new Date(at);
    const date = time.toLocaleDateString(undefined, { month: "short", day: "numeric" });
    const second = step < 60 * SECOND ? "2-digit" : undefined;
    const hour = time.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second, hourCycle: "h23" });
    const text = step >= DAY ? date : day && day !== date ? `${date}, ${hour}` : hour;
    day = date;
    const place = placeOf(at);
    if (place - taken < 60 / most || voids.some(([from]) => Math.abs(placeOf(from) - place) < 40 / most)) continue;
    taken = place;
    ticks.push({ at, text: place > 100 - 30 / most ? "" : text });
  }
  return ticks;
}
