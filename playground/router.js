// Where one is, as the page's address: "#view/part/part?field=value". Parts and fields are encoded, so that any id can
// stand in them. What a person goes to leaves an entry in the browser's history, so that Back leads back; what only
// follows what they do (a filter being typed, a row that is stepped over) does not.

/** An address: addressOf("tasks", [id]), addressOf("tasks", [], {status: "failed"}); empty fields are left out. */
export function addressOf(view, path = [], fields = {}) {
  const parts = [view, ...path].map((part) => encodeURIComponent(part)).join("/");
  const wanted = Object.entries(fields).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(wanted.map(([name, value]) => [name, String(value)])).toString();
  return `#${parts}${query ? `?${query}` : ""}`;
}

/** What an address says: {view, path: [part…], fields: {name: value}}. */
export function parsed(address = location.hash) {
  const [parts, query = ""] = address.replace(/^#/, "").split(/\?(.*)/s);
  const [view, ...path] = parts.split("/").map(decoded);
  return { view, path, fields: Object.fromEntries(new URLSearchParams(query)) };
}

const listeners = [];

/** Go to an address, as by a link; what it names is shown by the time this returns. */
export function go(address) {
  if (location.hash !== address) history.pushState(null, "", address);
  tell();
}

/** Have the address say what is shown now, without an entry of its own. Nothing is told of it. */
export function settle(address) {
  if (location.hash !== address) history.replaceState(history.state, "", address);
}

/** Call `listener` with what the address says, whenever somebody went elsewhere. */
export function onRoute(listener) {
  listeners.push(listener);
}

addEventListener("hashchange", tell);

function tell() {
  for (const listener of listeners) listener(parsed());
}

/** The whole address, to be sent to somebody. */
export const linkTo = (address) => new URL(address, document.baseURI).href;

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // typed by hand
  }
}
