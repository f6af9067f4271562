// The elements of one output: its head, the tools below it, and the box that scrolls.

import { h, icon, iconButton, newId } from "./dom.js";
import { InputLine } from "./inputline.js";

/** {element, parts}: the pane around its `lines`, and by name what a Viewer fills and listens to. `leave`: called to
 * leave its input. */
export function buildPane(app, taskId, lines, times, leave) {
  const title = newId("pane");
  const toggle = (text, about, pressed) =>
    h("button.toggle", { type: "button", title: about, "aria-pressed": String(pressed) }, text);
  const search = {
    type: "search",
    placeholder: "Filter, or /regex/",
    "aria-label": "Filter the output",
    spellcheck: "false",
  };
  const hold = {
    type: "button",
    "aria-pressed": "false",
    title: "Pause the view; lines are still collected (p)",
  };
  const parts = {
    word: h("span"),
    exit: h("span.exit"),
    action: h("span.pane-action"),
    buttons: h("span.buttons"),
    copy: iconButton("copy", "Copy what is shown"),
    save: iconButton("save", "Download what is shown"),
    close: iconButton("close", "Close this output", null, { key: "Escape" }),
    banner: h("p.banner", { hidden: true }, icon("bad"), h("span")),
    search: h("input", search),
    found: h("span.found", { role: "status" }),
    only: toggle(
      "matches only",
      "Show only matching lines (otherwise they are marked: Enter goes to the next)",
      true,
    ),
    out: toggle("out", "Show stdout", true),
    err: toggle("err", "Show stderr", true),
    time: toggle("time", "Show the time of each line (t)", times),
    pause: h("button.toggle", hold, icon("pause"), h("span", null, "pause")),
    size: h("span.found"),
    earlier: h("button.toggle", { type: "button", hidden: true, title: "Load lines of the log" }, "earlier lines"),
    whole: h(
      "button.toggle",
      { type: "button", hidden: true, title: "Search all of its log, not only the lines that are loaded" },
      "search its log",
    ),
    input: new InputLine(app, taskId, leave),
  };
  parts.only.hidden = true; // there is nothing to match
  parts.state = h("span.state", null, icon("dots"), parts.word);
  const { state, action, exit, buttons, copy, save, close } = parts;
  const { banner, found, only, out, err, time, pause, size, earlier, whole } = parts;
  const element = h(
    "section.pane",
    { "aria-labelledby": title },
    h(
      "header.pane-head",
      null,
      state,
      h("h3", { id: title, title: taskId }, taskId),
      action,
      exit,
      buttons,
      copy,
      save,
      close,
    ),
    banner,
    h("div.pane-tools", null, parts.search, found, whole, only, out, err, time, pause, earlier, size),
    lines,
    parts.input.element,
  );
  return { element, parts };
}
