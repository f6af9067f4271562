// Numbers and times as people read them.

const COUNT = new Intl.NumberFormat("en");

/** 12345 as 12,345. */
export const count = (number) => COUNT.format(number);

/** "1 line", "2 lines", "1,200 lines". */
export const many = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

/** Milliseconds as 42s, 3m 05s, 2h 07m, 3d 4h. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value) => String(value).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86400)}d ${Math.floor(seconds / 3600) % 24}h`;
}

/** The same, with what is below a minute in more detail: 42ms, 1.5s. */
export function exactly(ms) {
  if (ms < 1000) return `${ms}ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)}s` : duration(ms);
}

/** The time of day of an RFC 3339 timestamp, here, with milliseconds. */
export function clock(timestamp) {
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return "";
  const two = (value) => String(value).padStart(2, "0");
  const ms = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

/** Date and time of an RFC 3339 timestamp, here. */
export function moment(timestamp) {
  const at = new Date(timestamp);
  return Number.isNaN(at.getTime()) ? "" : at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** A rate for people: 0, 3, 3.2, 48, 12,345. */
export function rate(value) {
  return value >= 10 || Number.isInteger(value) ? count(Math.round(value)) : value.toFixed(1);
}

/** Bytes for people: 512 B, 1.5 MiB. */
export function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** 12.3 as 12.3 %, 250.4 as 250 %. */
export const percent = (value) => `${value >= 100 ? count(Math.round(value)) : value.toFixed(1)} %`;

/** A retry policy in words. */
export function policyText(policy) {
  if (!policy) return "no restarts";
  const after = policy.restart_delay ? `after ${policy.restart_delay}` : "at once";
  const most = policy.restart_max_delay ? ` up to ${policy.restart_max_delay}` : "";
  const growth = policy.restart_factor > 1 ? ` growing ×${policy.restart_factor}${most}` : "";
  const jitter = policy.restart_jitter ? ` plus up to ${policy.restart_jitter}` : "";
  const on = policy.restart_on === "failure" ? "restarts a failure" : "restarts";
  const within = policy.error_window ? ` within ${policy.error_window}` : "";
  const until = policy.error_threshold ? `, gives up at ${many(policy.error_threshold, "exit")}${within}` : "";
  return `${on} ${after}${growth}${jitter}${until}`;
}

/** Whether an id looks made up by the server, so that nobody will miss it. */
export const isUuid = (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);

/** The parameters of a task on one line. */
export function paramsText(params) {
  return Object.entries(params ?? {})
    .map(([name, value]) => `${name}=${/[\s"]/.test(value) || value === "" ? JSON.stringify(value) : value}`)
    .join(" ");
}

/** Date and time of an RFC 3339 timestamp, here, as short as it is clear on the day of `now` (ms). */
export function shortMoment(timestamp, now) {
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return "";
  const time = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  if (at.toDateString() === new Date(now).toDateString()) return time;
  const year = at.getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
  return `${at.toLocaleDateString(undefined, { month: "short", day: "numeric", year })}, ${time.slice(0, 5)}`;
}

/** A time (ms) as a field for date and time has it, here, in seconds. */
export function fieldTime(ms) {
  const at = new Date(ms);
  const two = (value) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** A server's words as a sentence of their own. */
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
