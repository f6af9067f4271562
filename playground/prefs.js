// What the page remembers between visits, in this browser only: how it looks, never what was typed into it.
// Works without storage too, just forgetful.

// Servers behind one proxy share its origin, and so its storage: each has the names of its own folder.
const HOME = new URL(".", document.baseURI).pathname;
const PREFIX = HOME === "/" ? "overseer." : `overseer:${HOME}.`;

// Earlier versions kept what forms were given here, secrets included, and which outputs were open.
const GONE = /^overseer\.(form\.|panes$)/;

try {
  for (const key of Object.keys(localStorage)) if (GONE.test(key)) localStorage.removeItem(key);
} catch {
  // Storage is not available.
}

/** What was remembered under `name`, or `fallback`. `visit`: for this tab alone, until it is closed. */
export function recall(name, fallback, { visit = false } = {}) {
  try {
    const text = (visit ? sessionStorage : localStorage).getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

/** Remember a value that JSON can hold. */
export function remember(name, value, { visit = false } = {}) {
  try {
    (visit ? sessionStorage : localStorage).setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Storage is off or full: the page goes on without a memory.
  }
}
