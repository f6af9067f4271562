// Who we are to the server. The page asks /ws/manifest first: a 401 there means that a token is wanted. The
// token goes to /session in a header, which answers with a cookie that scripts cannot read; it is kept nowhere
// else. The manifest says then who we are and what we may do.

import { h } from "./dom.js";

const NEEDS = {
  start: "operator",
  stop: "operator",
  reset: "operator",
  set_pool: "admin",
  purge: "admin",
  reload: "admin",
};
const ROLES = ["viewer", "operator", "admin"];

// A server without tokens lets everybody do everything.
let session = { name: "", role: "admin", actions: ["*"] };

/** {name, role, actions}; the name is "" where nobody is asked who they are. */
export const whoIs = () => session;

/** Whether all actions are ours; only then may we change the pool of all. */
export const seesAll = () => session.actions.includes("*");

/** Whether our role may send requests of this type; what it may not is not offered. */
export const allowed = (type) => ROLES.indexOf(session.role) >= ROLES.indexOf(NEEDS[type] ?? "viewer");

/**
 * Ask the server: {outcome: "in", manifest, skew}, {outcome: "sign-in"}, {outcome: "refused", text} or
 * {outcome: "away"}.
 */
export async function whoAmI() {
  try {
    const answer = await fetch("/ws/manifest", { headers: { Accept: "application/json" } });
    if (answer.status === 401) return { outcome: "sign-in" };
    if (!answer.ok) return { outcome: "refused", text: (await answer.text()).trim() };
    const manifest = await answer.json();
    session = manifest.session ?? session;
    const skew = Date.now() - Date.parse(answer.headers.get("Date") ?? "");
    return { outcome: "in", manifest, skew: Math.abs(skew) > 2000 ? skew : 0 };
  } catch {
    return { outcome: "away" };
  }
}

/** End the sign-in, here and on the server, and begin anew. */
export async function signOut() {
  await fetch("/session", { method: "DELETE" });
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
        h("h1", null, "Sign in"),
        h("p", null, "This server asks for a token."),
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
    const answer = await fetch("/session", { method: "POST", headers });
    if (answer.ok) return "";
    return answer.status === 401 ? "The server does not know this token." : (await answer.text()).trim();
  } catch {
    return "The server cannot be reached.";
  }
}
