// The rows of the table of tasks: made once, filled for whichever task is at their place.

import { h, icon, setIcon, setText } from "./dom.js";
import { count, isUuid } from "./format.js";
import { nameOf, shortId } from "./names.js";
import { STATES, isUnhealthy, resultText, wordOf } from "./states.js";
import { showButtons } from "./taskactions.js";
import { COLUMNS, timeText, whenIs } from "./taskcolumns.js";
import { visible } from "./visible.js";
import { setWhen, whenOf } from "./when.js";

const WORDED = ["stop", "again", "reset"];

/** An empty row. */
export function makeRow() {
  const cells = { pick: h("input", { type: "checkbox", tabindex: "-1" }) };
  const row = h("div.t-row", { role: "row" }, h("div.c-pick", { role: "gridcell" }, cells.pick));
  for (const [name] of COLUMNS) {
    cells[name] = h(`div.c-${name}`, { role: "gridcell" });
    row.append(cells[name]);
  }
  cells.word = h("span");
  cells.icon = icon("dots");
  cells.mark = h("span.mark", { title: "Unhealthy", role: "img", "aria-label": "unhealthy" }, icon("bad"));
  cells.status.append(cells.icon, cells.word, cells.mark);
  cells.at = whenOf("", 0);
  cells.when.append(cells.at);
  cells.acts = h("div.c-acts", { role: "gridcell" });
  row.append(cells.acts);
  row.cells = cells;
  return row;
}

/** Show a task in a row; `at`: its index; `place`: in the queue, from 1; `state`: {selected, picked,
 * anySelected}. */
export function showRow(row, app, task, at, place, { selected, picked, anySelected }) {
  const { cells } = row;
  const { status } = task;
  const { now, connected } = app.link;
  const id = `task-${at}`;
  if (row.id !== id) {
    row.id = id;
    row.setAttribute("aria-rowindex", at + 2);
  }
  const open = app.panes.has(task.task_id);
  row.className = `t-row s-${status}${selected ? " selected" : ""}${open ? " open" : ""}${picked ? " picked" : ""}`;
  row.setAttribute("aria-selected", String(selected));
  cells.pick.checked = picked;
  cells.pick.tabIndex = selected || (at === 0 && !anySelected) ? 0 : -1; // one of them is reached by Tab
  setText(cells.time, timeText(task, now));
  setWhen(cells.at, whenIs(task), now);
  setText(cells.word, place ? `${STATES[status].label} #${place}` : wordOf(task));
  cells.mark.hidden = !isUnhealthy(task);
  const { actions } = app.store; // which name the tasks
  if (row.task === task && row.connected === connected && row.actions === actions) return;
  row.task = task;
  row.actions = actions;
  row.connected = connected;
  const name = nameOf(app.store, task);
  setIcon(cells.icon, STATES[status]?.icon ?? "dots");
  setText(cells.name, name);
  cells.name.title = visible(`${task.action} ${JSON.stringify(task.params ?? {})}`);
  cells.pick.setAttribute("aria-label", visible(`Mark ${name}`));
  setText(cells.id, shortId(task.task_id));
  cells.id.title = visible(task.task_id);
  cells.id.classList.toggle("uuid", isUuid(task.task_id));
  setText(cells.restarts, task.restart_count ? count(task.restart_count) : "");
  const exit = resultText(task, app.watch.signal(task.task_id));
  setText(cells.exit, exit);
  cells.exit.title = visible(exit);
  showButtons(cells.acts, app, task, { tabbable: false, words: WORDED });
}
