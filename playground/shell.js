// What is around every view: the rail with the views, the server's name and numbers, the session, the tab's title.

import { setText } from "./dom.js";
import { count, rate } from "./format.js";
import { HOME, signOut, whoIs } from "./auth.js";
import { beside } from "./reach.js";
import { showHelp } from "./help.js";
import { turnTheme } from "./theme.js";
import { mayUpgrade, upgrade } from "./upgrade.js";
import { visible } from "./visible.js";
import { recall, remember } from "./prefs.js";

const ADVANCED = new Set(["pools", "console"]);
const MORE = new Set(["plan", "activity", ...ADVANCED]); // behind a button where it is narrow

const at = (id) => document.getElementById(id);

export class Shell {
  /** `views`: the names of those with a tab; `use`: called with the one that is wanted. */
  constructor(app, views, use) {
    this.#app = app;
    this.#views = views;
    for (const name of views) {
      at(`tab-${name}`).addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // into another tab of the browser
        event.preventDefault();
        this.#unfold(false);
        use(name);
      });
    }
    at("theme").addEventListener("click", turnTheme);
    at("help").addEventListener("click", showHelp);
    at("sign-out").addEventListener("click", signOut);
    at("upgrade").addEventListener("click", () => upgrade(app.link, at("upgrade")));
    at("more").addEventListener("click", () => this.#unfold(!document.body.classList.contains("more-open")));
    at("advanced").addEventListener("click", () => this.#advanced(at("advanced-views").hidden));
    document.addEventListener("click", ({ target }) => target.closest("nav") || this.#unfold(false));
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault(); // the address says what is shown
      at("frame").focus();
    });
    this.#advanced(recall("advanced", false));
  }

  #app;
  #views;

  /** Name the page as the server is. */
  async name(manifest) {
    const app = this.#app;
    app.about = manifest;
    at("version").textContent = `${manifest.protocol} ${manifest.version}`;
    try {
      const { info } = await (await fetch(beside(HOME, "openapi.json"))).json();
      setText(at("name"), info.title);
      app.title = visible(info.title);
      setText(at("description"), info.description ?? "");
    } catch {
      app.title = at("name").textContent;
    }
    this.showTitle();
  }

  /** Who is signed in, what they may do, and the way out. */
  showSession() {
    at("upgrade").hidden = !mayUpgrade();
    const { name, role } = whoIs();
    at("sign-out").hidden = !name;
    setText(at("who"), name ? `${name} (${role})` : "");
  }

  /** Hear of what the numbers are made of. */
  listen() {
    const { store, link } = this.#app;
    store.on("metrics", () => this.#showNumbers());
    store.on("tasks", () => this.#showNumbers());
    link.on("status", () => this.showTitle());
  }

  /** Mark the tab of the view that is shown. */
  mark(view) {
    for (const each of this.#views) mark(`tab-${each}`, each === view);
    mark("more", MORE.has(view));
    if (ADVANCED.has(view)) this.#advanced(true);
  }

  /** What matters most, in the browser's tab. */
  showTitle() {
    const { store, link, title: name = "sticky-overseer" } = this.#app;
    const { errored = 0, running = 0 } = store?.counts ?? {};
    const news = link && !link.connected ? "(no connection) " : errored ? `(${errored} errored) ` : running ? `(${running}) ` : "";
    const title = `${news}${name}`;
    if (document.title !== title) document.title = title;
  }

  #showNumbers() {
    const { counts, samples, total } = this.#app.store;
    const [before, now] = samples.slice(-2);
    const speed = now ? ((now.total_output_lines - before.total_output_lines) * 1000) / (now.at - before.at) : 0;
    if (counts) {
      setText(at("n-running"), count(counts.running ?? 0));
      setText(at("n-errored"), count(counts.errored ?? 0));
      at("n-errored").parentNode.classList.toggle("some", (counts.errored ?? 0) > 0);
    }
    if (total) setText(at("n-queued"), count(total.queue_depth));
    if (now) setText(at("n-lines"), rate(Math.max(0, speed)));
    this.showTitle();
  }

  #unfold(open) {
    document.body.classList.toggle("more-open", open);
    at("more").setAttribute("aria-expanded", String(open));
  }

  #advanced(open) {
    at("advanced-views").hidden = !open;
    at("advanced").setAttribute("aria-expanded", String(open));
    remember("advanced", open);
  }
}

function mark(id, current) {
  if (current) at(id).setAttribute("aria-current", "page");
  else at(id).removeAttribute("aria-current");
}
