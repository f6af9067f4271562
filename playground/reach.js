// Where the server is, and what is in the way when it cannot be reached: a WebSocket that fails says nothing of why,
// so what answers at the same place is asked.

const PATIENCE = 5000; // ms for an answer

/** The address of something on the server: beside the page, whatever folder a proxy has put it in. */
export const beside = (home, name) => new URL(name, home).href;

/** The WebSocket's address. */
export const socketUrl = (home) => beside(home, "ws").replace(/^http/, "ws");

/**
 * Ask for the manifest: {outcome: "in", manifest, skew}, {outcome: "sign-in"}, or, with what to tell a person,
 * {outcome: "refused" or "away", why, todo, wait (ms that are asked for)}.
 */
export async function look(home) {
  let answer;
  try {
    answer = await ask(beside(home, "ws/manifest"), { headers: { Accept: "application/json" } });
  } catch (error) {
    const late = error.name === "TimeoutError";
    const why = late ? `no reply from ${host(home)} within ${PATIENCE / 1000} s` : `${host(home)} does not answer`;
    return { outcome: "away", why, todo: "Are the server and the network up?" };
  }
  const sent = Date.now();
  if (answer.status === 401) return { outcome: "sign-in" };
  if (!answer.ok) return { outcome: "refused", ...(await refusal(answer)) };
  try {
    const manifest = await answer.json();
    if (!manifest.messages) throw new SyntaxError("another document");
    const skew = sent - Date.parse(answer.headers.get("Date") ?? "");
    return { outcome: "in", manifest, skew: Math.abs(skew) > 2000 ? skew : 0 };
  } catch {
    return { outcome: "refused", ...WRONG_PLACE, why: `${beside(home, "ws/manifest")} is something else` };
  }
}

/** The manifest came and the WebSocket did not: {why, todo}. */
export async function whyNoSocket(home) {
  try {
    // A POST has the page's Origin with it, as the WebSocket has. Without a token it does nothing.
    const origin = await ask(beside(home, "session"), { method: "POST" });
    if (origin.status === 403) return await refusal(origin);
    const plain = await ask(beside(home, "ws"));
    if ([403, 404, 429, 502, 503, 504].includes(plain.status)) return await refusal(plain);
  } catch {
    return { why: `${host(home)} does not answer`, todo: "Are the server and the network up?" };
  }
  return {
    why: "the server answers, but no WebSocket comes through",
    todo: `A proxy must forward the headers Upgrade and Connection for ${beside(home, "ws")}, over HTTP/1.1.`,
  };
}

const WRONG_PLACE = {
  todo: "Open the page at its folder's address, with a trailing slash; a proxy must forward everything below it.",
};

async function refusal(answer) {
  const { status } = answer;
  const said = (answer.headers.get("Content-Type") ?? "").startsWith("text/plain") ? (await answer.text()).trim() : "";
  const wait = 1000 * Math.min(60, Number(answer.headers.get("Retry-After")) || 0);
  const why = said ? `${said.slice(0, 300)} (${status})` : `the answer is ${status}`;
  if (status === 404) return { why, ...WRONG_PLACE };
  const todo =
    {
      401: "Reload the page to sign in.",
      403: "The server's log says what was refused and how to allow it.",
      429: "Too many attempts from this address: wait.",
      503: "The server, or a proxy in front of it, is full or starting: wait.",
    }[status] ??
    (status >= 500 ? "A proxy cannot reach the server: is it running?" : "See the server's log.");
  return { why, todo, wait };
}

const ask = (url, options) =>
  fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE), ...options });

const host = (home) => new URL(home).host;
