// What the page remembers between visits, in this browser only. Works without storage too, just forgetful.

const PREFIX = "overseer.";

/** What was remembered under `name`, or `fallback`. */
export function recall(name, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

/** Remember a value that JSON can hold. */
export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Storage is off or full: the page goes on without a memory.
  }
}
