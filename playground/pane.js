// The elements of one output: its head, the tools below it, and the box that scrolls.

import { h, icon, iconButton, newId } from "./dom.js";
import { InputLine } from "./inputline.js";
import { idOf } from "./names.js";

/** {element, parts}: the pane around its `tools` and `lines`, and by name what a Viewer fills and listens to. `leave`:
 * called to leave its input. */
export function buildPane(app, taskId, tools, lines, leave) {
  const title = newId("pane");
  const parts = {
    word: h("span"),
    exit: h("span.exit"),
    id: h("span.pane-id", null, idOf(taskId)),
    buttons: h("span.buttons"),
    save: iconButton("save", "Download the log"),
    size: iconButton("grow", "Only this output", null, { key: "M", kind: "quiet.only" }),
    close: iconButton("close", "Close this output", null, { key: "Escape" }),
    banner: h("p.banner", { hidden: true }, icon("bad"), h("span")),
    input: new InputLine(app, taskId, leave),
  };
  parts.state = h("span.state", null, icon("dots"), parts.word);
  const { state, id, exit, buttons, save, size, close, banner } = parts;
  const name = h("h3", { id: title, "aria-level": "2", "data-task": taskId }, taskId);
  parts.name = name;
  const element = h(
    "section.pane",
    { "aria-labelledby": title },
    h("header.pane-head", null, state, name, id, exit, buttons, h("span.pane-acts", null, save, size, close)),
    banner,
    tools,
    lines,
    parts.input.element,
  );
  return { element, parts };
}
