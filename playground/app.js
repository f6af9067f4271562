// The page: puts the parts together, shows the view that its address names, and hears the keys that work everywhere.

import { fill, h, setText } from "./dom.js";
import { HOME, signIn, whoAmI } from "./auth.js";
import { Link } from "./link.js";
import { Store } from "./store.js";
import { Watch } from "./watch.js";
import { Panes } from "./panes.js";
import { splitter } from "./splitter.js";
import { Shell } from "./shell.js";
import { Home } from "./home.js";
import { Tasks } from "./tasks.js";
import { Actions } from "./actions.js";
import { Plan } from "./plan.js";
import { Pools } from "./pools.js";
import { Activity } from "./activity.js";
import { History } from "./history.js";
import { Console } from "./console.js";
import { TokenPage } from "./tokenpage.js";
import { showHelp } from "./help.js";
import { Banner } from "./banner.js";
import { addressOf, go, onRoute, parsed, settle } from "./router.js";
import { tellTime } from "./when.js";

const VIEWS = ["home", "tasks", "actions", "plan", "pools", "activity", "history", "console"]; // by key, from 0
const PLACES = [...VIEWS, "tokens"]; // also those without a tab
const WITH_OUTPUTS = new Set(["tasks", "actions"]);

const at = (id) => document.getElementById(id);
const app = { views: {} };

async function begin() {
  const shell = new Shell(app, VIEWS, use);
  app.shell = shell;
  app.link = new Link(); // whose script loads meanwhile
  const manifest = await enter();
  shell.name(manifest);
  shell.showSession();
  app.store = new Store(app.link);
  app.watch = new Watch(app.link, manifest);
  app.panes = new Panes(app, at("panes"));
  // To where keys are shortcuts, never into a field.
  app.focusView = () => (app.views[app.view].restAt ?? at("frame")).focus();
  app.show = show;
  app.hasOutputs = () => WITH_OUTPUTS.has(app.view); // the view that is shown
  app.can = (request) => request in manifest.messages;
  app.views = {
    home: new Home(app, at("view-home")),
    tasks: new Tasks(app, at("view-tasks")),
    actions: new Actions(app, at("view-actions")),
    plan: new Plan(app, at("view-plan")),
    pools: new Pools(app, at("view-pools")),
    activity: new Activity(app, at("view-activity")),
    history: new History(app, at("view-history")),
    console: new Console(app, at("view-console"), manifest),
    tokens: new TokenPage(app, at("view-tokens")),
  };
  at("split").replaceWith(splitter(at("frame")));
  at("back").addEventListener("click", () => app.panes.closeAll());
  app.panes.onChange(showDock);
  document.addEventListener("keydown", key);
  shell.listen();
  tellTime(app.link);
  app.link.on("status", ({ state }) => state === "sign-in" && signInAgain());
  new Banner(app, at("connection"), at("offline"));
  app.panes.restore();
  if (!PLACES.includes(parsed().view)) settle(addressOf("home"));
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
    if (who.outcome === "sign-in") {
      setText(at("connection"), "Signed out");
      await signIn(at("gate"));
    }
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
  app.shell.showSession();
  app.link.open(HOME);
}

// Its tab was used, or its key: a second time, it goes to its beginning.
function use(name) {
  if (app.view === name) {
    app.views[name].home?.();
    go(addressOf(name));
  } else show(name);
}

// Go to a view, as it was left.
function show(name) {
  if (!app.views[name]) settle(addressOf(name)); // before the sign-in: it is shown after it
  else go(app.views[name].address ?? addressOf(name));
}

// The page's address has changed: show what it names.
function route(to) {
  if (!PLACES.includes(to.view)) return;
  const { view } = to;
  app.view = view;
  for (const each of PLACES) at(`view-${each}`).hidden = each !== view;
  app.shell.mark(view);
  showDock();
  app.views[view].shown?.(to);
}

function showDock() {
  const frame = at("frame");
  frame.classList.toggle("with-dock", app.panes.size > 0 && app.hasOutputs());
  frame.classList.toggle("is-actions", app.view === "actions");
}

const FIELDS = "input:not([type=checkbox]), textarea, select";

const KEYS = {
  ...Object.fromEntries(VIEWS.map((name, number) => [number, () => (use(name), app.focusView())])),
  n: () => (show("actions"), app.views.actions.focus()),
  o: () => app.panes.focusNext() || app.focusView(),
  "/": () => app.views[app.view].focusSearch?.(),
  "?": showHelp,
};

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
