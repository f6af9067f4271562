// The page: puts the parts together, shows one view at a time, and hears the keys that work everywhere.

import { fill, h, setText } from "./dom.js";
import { count, rate } from "./format.js";
import { HOME, signIn, signOut, whoAmI, whoIs } from "./auth.js";
import { beside } from "./reach.js";
import { Link } from "./link.js";
import { Store } from "./store.js";
import { Watch } from "./watch.js";
import { Panes } from "./panes.js";
import { splitter } from "./splitter.js";
import { Tasks } from "./tasks.js";
import { Actions } from "./actions.js";
import { Plan } from "./plan.js";
import { Pools } from "./pools.js";
import { Pictures } from "./pictures.js";
import { History } from "./history.js";
import { Console } from "./console.js";
import { showHelp } from "./help.js";
import { turnTheme } from "./theme.js";
import { Banner } from "./banner.js";
import { recall, remember } from "./prefs.js";
import { visible } from "./visible.js";
import { addressOf, go, onRoute, parsed, settle } from "./router.js";
import { TokenPage } from "./tokenpage.js";

const VIEWS = ["tasks", "actions", "plan", "pools", "activity", "history", "console"];
const PLACES = [...VIEWS, "tokens"]; // also those without a tab
const WITH_OUTPUTS = new Set(["tasks", "actions"]);

const at = (id) => document.getElementById(id);
const app = { views: {} };

async function begin() {
  at("theme").addEventListener("click", turnTheme);
  at("help").addEventListener("click", showHelp);
  const manifest = await enter();
  nameThePage(manifest);
  showSession();
  at("sign-out").addEventListener("click", signOut);
  app.link = new Link();
  app.store = new Store(app.link);
  app.watch = new Watch(app.link, manifest);
  app.panes = new Panes(app, at("panes"));
  // To where keys are shortcuts, never into a field.
  app.focusView = () => (app.views[app.view].restAt ?? at("frame")).focus();
  app.views = {
    tasks: new Tasks(app, at("view-tasks")),
    actions: new Actions(app, at("view-actions")),
    plan: new Plan(app, at("view-plan")),
    pools: new Pools(app, at("view-pools")),
    activity: new Pictures(app, at("view-activity")),
    history: new History(app, at("view-history")),
    console: new Console(app, at("view-console"), manifest),
    tokens: new TokenPage(app, at("view-tokens")),
  };
  at("split").replaceWith(splitter(at("frame")));
  at("back").addEventListener("click", () => app.panes.closeAll());
  app.panes.onChange(showDock);
  app.show = show;
  for (const name of VIEWS) at(`tab-${name}`).addEventListener("click", () => use(name));
  document.addEventListener("keydown", key);
  app.store.on("metrics", showNumbers);
  app.store.on("tasks", showNumbers);
  app.link.on("status", showTitle);
  app.link.on("status", ({ state }) => state === "sign-in" && signInAgain());
  new Banner(app, at("connection"), at("offline"));
  app.panes.restore();
  if (!PLACES.includes(parsed().view)) settle(addressOf(recall("view", "tasks")));
  onRoute(route);
  route(parsed());
  app.link.open(HOME);
}

// Signed in, or with no need to be; returns the manifest.
async function enter() {
  for (let wait = 250; ; wait = Math.min(wait * 2, 2000)) {
    const who = await whoAmI();
    app.skew = who.skew ?? 0;
    if (who.outcome === "in") return who.manifest;
    if (who.outcome === "sign-in") await signIn(at("gate"));
    else {
      const text = `No connection: ${who.why}. ${who.todo} Retrying automatically.`;
      fill(at("gate"), h("p.empty", { role: "alert" }, text));
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait, who.wait ?? 0)));
    }
    fill(at("gate"));
  }
}

// The server knows us no longer.
async function signInAgain() {
  await signIn(at("gate"));
  await whoAmI();
  showSession();
  app.link.open(HOME);
}

async function nameThePage(manifest) {
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
  showTitle();
}

// Who is signed in, and the way out.
function showSession() {
  const { name, role } = whoIs();
  at("sign-out").hidden = !name;
  setText(at("who"), name ? `${name} (${role})` : "");
}

// Its tab was used, or its key: a second time, it goes to its beginning.
function use(name) {
  if (app.view === name) {
    app.views[name].home?.();
    go(addressOf(name));
  } else show(name);
}

/** Go to a view, as it was left. */
function show(name) {
  go(app.views[name].address ?? addressOf(name));
}

// The page's address has changed: show what it names.
function route(to) {
  if (!PLACES.includes(to.view)) return;
  const { view } = to;
  app.view = view;
  if (VIEWS.includes(view)) remember("view", view);
  for (const each of PLACES) {
    at(`view-${each}`).hidden = each !== view;
    if (each === view) at(`tab-${each}`)?.setAttribute("aria-current", "page");
    else at(`tab-${each}`)?.removeAttribute("aria-current");
  }
  showDock();
  app.views[view].shown?.(to);
}

function showDock() {
  const frame = at("frame");
  const wanted = app.panes.size > 0 && WITH_OUTPUTS.has(app.view);
  frame.classList.toggle("with-dock", wanted);
  frame.classList.toggle("is-actions", app.view === "actions");
}

function showNumbers() {
  const { counts, samples, total } = app.store;
  const [before, now] = samples.slice(-2);
  const speed = now ? ((now.total_output_lines - before.total_output_lines) * 1000) / (now.at - before.at) : 0;
  setText(at("n-running"), count(counts.running ?? 0));
  setText(at("n-queued"), count(total.queue_depth));
  setText(at("n-errored"), count(counts.errored ?? 0));
  setText(at("n-lines"), rate(Math.max(0, speed)));
  at("n-errored").parentNode.classList.toggle("some", (counts.errored ?? 0) > 0);
  showTitle();
}

// What matters most, in the browser's tab.
function showTitle() {
  const { errored = 0, running = 0 } = app.store?.counts ?? {};
  const news = app.link && !app.link.connected ? "(no connection) " : errored ? `(${errored} errored) ` : running ? `(${running}) ` : "";
  const title = `${news}${app.title ?? "sticky-overseer"}`;
  if (document.title !== title) document.title = title;
}

const FIELDS = "input:not([type=checkbox]), textarea, select";

const KEYS = {
  1: () => visit("tasks"),
  2: () => visit("actions"),
  3: () => visit("plan"),
  4: () => visit("pools"),
  5: () => visit("activity"),
  6: () => visit("history"),
  7: () => visit("console"),
  n: () => (show("actions"), app.views.actions.focus()),
  o: () => app.panes.focusNext() || app.focusView(),
  "/": () => app.views[app.view].focusSearch?.(),
  "?": showHelp,
};

function visit(name) {
  use(name);
  app.focusView();
}

function key(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (event.key === "Escape") {
    const viewer = app.panes.focused;
    if (viewer) app.panes.close(viewer.taskId);
    else if (target.matches(FIELDS) || !app.views[app.view].escape?.()) app.focusView();
    return;
  }
  if (target.matches(FIELDS)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

begin();
