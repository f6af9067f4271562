// The page: puts the parts together, shows one view at a time, and hears the keys that work everywhere.

import { fill, h, setText } from "./dom.js";
import { count, rate } from "./format.js";
import { signIn, signOut, whoAmI, whoIs } from "./auth.js";
import { Link } from "./link.js";
import { Store } from "./store.js";
import { Watch } from "./watch.js";
import { Panes, splitter } from "./panes.js";
import { Tasks } from "./tasks.js";
import { Actions } from "./actions.js";
import { Pools } from "./pools.js";
import { Pictures } from "./pictures.js";
import { Console } from "./console.js";
import { showHelp } from "./help.js";
import { turnTheme } from "./theme.js";
import { Banner } from "./banner.js";
import { recall, remember } from "./prefs.js";

const VIEWS = ["tasks", "actions", "pools", "activity", "console"];
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
  app.watch = new Watch(app.link);
  app.panes = new Panes(app, at("panes"));
  app.focusView = () => app.views[app.view].focus();
  app.views = {
    tasks: new Tasks(app, at("view-tasks")),
    actions: new Actions(app, at("view-actions")),
    pools: new Pools(app, at("view-pools")),
    activity: new Pictures(app, at("view-activity")),
    console: new Console(app, at("view-console"), manifest),
  };
  at("split").replaceWith(splitter(at("frame")));
  at("back").addEventListener("click", () => app.panes.closeAll());
  app.panes.onChange(showDock);
  app.show = show;
  for (const name of VIEWS) at(`tab-${name}`).addEventListener("click", () => show(name));
  document.addEventListener("keydown", key);
  app.store.on("metrics", showNumbers);
  app.store.on("tasks", showNumbers);
  app.link.on("status", ({ state }) => state === "waiting" && lookWhy());
  new Banner(app, at("connection"), at("offline"));
  app.panes.restore();
  show(VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : recall("view", "tasks"));
  addEventListener("hashchange", () => VIEWS.includes(location.hash.slice(1)) && show(location.hash.slice(1)));
  app.link.open(address());
}

// Signed in, or with no need to be; returns the manifest.
async function enter() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 5000)) {
    const who = await whoAmI();
    app.skew = who.skew ?? 0;
    if (who.outcome === "in") return who.manifest;
    if (who.outcome === "sign-in") await signIn(at("gate"));
    else {
      fill(at("gate"), h("p.empty", { role: "alert" }, who.text || "The server cannot be reached; trying again."));
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    fill(at("gate"));
  }
}

// The connection failed: is it the network, or are we no longer welcome?
async function lookWhy() {
  const who = await whoAmI();
  if (who.outcome !== "sign-in") return;
  app.link.close();
  await signIn(at("gate"));
  app.link.open(address());
}

function address() {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

async function nameThePage(manifest) {
  app.about = manifest;
  at("version").textContent = `${manifest.protocol} ${manifest.version}`;
  try {
    const { info } = await (await fetch("/openapi.json")).json();
    at("name").textContent = info.title;
    app.title = info.title;
    at("description").textContent = info.description ?? "";
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

function show(name) {
  const view = VIEWS.includes(name) ? name : "tasks";
  app.view = view;
  remember("view", view);
  if (location.hash.slice(1) !== view) history.replaceState(null, "", `#${view}`);
  for (const each of VIEWS) {
    at(`view-${each}`).hidden = each !== view;
    if (each === view) at(`tab-${each}`).setAttribute("aria-current", "page");
    else at(`tab-${each}`).removeAttribute("aria-current");
  }
  showDock();
  app.views[view].shown?.();
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
  const news = errored ? `(${errored} errored) ` : running ? `(${running}) ` : "";
  const title = `${news}${app.title ?? "sticky-overseer"}`;
  if (document.title !== title) document.title = title;
}

const KEYS = {
  1: () => go("tasks"),
  2: () => go("actions"),
  3: () => go("pools"),
  4: () => go("activity"),
  5: () => go("console"),
  n: () => go("actions"),
  o: () => app.panes.focusNext() || app.focusView(),
  "/": () => app.views[app.view].focusSearch?.(),
  "?": showHelp,
};

function go(name) {
  show(name);
  app.views[name].focus();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (event.key === "Escape") {
    const viewer = app.panes.focused;
    if (viewer) app.panes.close(viewer.taskId);
    else app.focusView();
    return;
  }
  if (target.matches("input:not([type=checkbox]), textarea, select")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

begin();
