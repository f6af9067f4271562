// Who we are to the server. The page asks ws/manifest first: a 401 there means that a token is wanted. The
// token goes to session in a header, which answers with a cookie that scripts cannot read; it is kept nowhere
// else. The manifest says then who we are and what we may do.

import { h, icon } from "./dom.js";
import { beside, look } from "./reach.js";

const NEEDS = {
  start: "operator",
  stop: "operator",
  reset: "operator",
  signal: "operator",
  input: "operator",
  resize: "operator",
  restart: "operator",
  pause: "operator",
  resume: "operator",
  forget: "operator",
  move: "operator",
  set_pool: "admin",
  purge: "admin",
  reload: "admin",
  upgrade: "admin",
};
const ROLES = ["viewer", "operator", "admin"];

// A server without tokens lets anyone do everything.
let session = { name: "", role: "admin", actions: ["*"] };

/** {name, role, actions}; the name is "" where no identity is required. */
export const whoIs = () => session;

/** Whether all actions are ours; only then may we change the pool of all. */
export const seesAll = () => session.actions.includes("*");

/** Whether our role may send requests of this type; what it may not is not offered. */
export const allowed = (type) => ROLES.indexOf(session.role) >= ROLES.indexOf(NEEDS[type] ?? "viewer");

/** The folder on the server that the page is in. */
export const HOME = new URL(".", document.baseURI).href;

/** Ask the server who we are to it; the answer is look's. */
export async function whoAmI() {
  const found = await look(HOME);
  if (found.outcome === "in") session = found.manifest.session ?? session;
  return found;
}

/** End the sign-in, here and on the server, and start over. */
export async function signOut() {
  await fetch(beside(HOME, "session"), { method: "DELETE" });
  location.reload();
}

/** Show the sign-in view in `place`; resolves once the server has taken a token. */
export function signIn(place) {
  return new Promise((resolve) => {
    const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
    const wrong = h("p.problem", { role: "alert" });
    const submit = async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      const problem = await present(token.value);
      if (!problem) {
        place.replaceChildren();
        resolve();
        return;
      }
      wrong.textContent = problem;
      token.select();
    };
    place.replaceChildren(
      h(
        "form.sign-in",
        { onsubmit: submit },
        icon("logo"),
        h("h1", null, "Sign in"),
        h("p", null, "This server requires a token."),
        h("label", { for: "token" }, "Token"),
        token,
        wrong,
        h("button.primary", null, "Sign in"),
      ),
    );
    token.focus();
  });
}

async function present(token) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(beside(HOME, "session"), { method: "POST", headers });
    if (answer.ok) return "";
    return answer.status === 401 ? "The server does not know this token." : (await answer.text()).trim();
  } catch {
    return "The server cannot be reached.";
  }
}
