// The keys, in a dialog.

import { h } from "./dom.js";

const KEYS = [
  [
    "Everywhere",
    [
      ["0 … 7", "Home, Tasks, Actions, Plan, Pools, Activity, History, Console"],
      ["n", "start something: open the form of the last action"],
      ["/", "search in this view"],
      ["o", "next output, or back to the view"],
      ["Esc", "leave a field, so that keys work again; close the focused output"],
      ["?", "this help"],
    ],
  ],
  [
    "Tasks",
    [
      ["↑ ↓ PgUp PgDn", "choose a task"],
      ["Enter", "show or close its output"],
      ["x", "stop it"],
      ["r", "restart it; reset it if errored, start it again if it is over"],
      ["s", "send it a signal"],
    ],
  ],
  [
    "Output",
    [
      ["↑ ↓ PgUp PgDn Home", "move through the lines; with Shift, pick several, which Ctrl+C copies"],
      ["End", "follow the newest"],
      ["p", "hold still, or follow"],
      ["/", "search; then Enter and Shift+Enter for the next and the one before"],
      ["e E", "the next line with an error, the one before"],
      ["g", "go to a time"],
      ["w l t", "wrap lines, show line numbers, show times"],
      ["m", "only this output, or all of them"],
      ["Enter", "unfold JSON or a long line"],
    ],
  ],
  [
    "History",
    [
      ["↑ ↓ Home End", "choose a run, or a line that was found"],
      ["Enter", "show its output, all of it; Esc leads back"],
      ["/", "search all of it; then Enter, n and N for the next and previous match"],
      ["Home End", "its first line, its last"],
      ["[ ]", "the run before, the run after"],
      ["e g w l t", "as in an output"],
    ],
  ],
  [
    "Input of a task",
    [
      ["Enter", "send the line"],
      ["Ctrl+D", "end of input"],
      ["Ctrl+C", "interrupt, where the task has a terminal and nothing typed is marked"],
    ],
  ],
  ["Forms", [["Enter, Ctrl+Enter", "start, or send"]]],
];

/** Show the dialog. */
export function showHelp() {
  const dialog = h(
    "dialog.help",
    { "aria-labelledby": "help-title" },
    // At the top, since a dialog opens where its focus is.
    h("form.row.help-head", { method: "dialog" }, h("h2", { id: "help-title" }, "Keys"), h("button.primary", { autofocus: true }, "Close")),
    KEYS.map(([title, rows]) => [
      h("h3", null, title),
      h(
        "dl",
        null,
        rows.map(([key, text]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, text))),
      ),
    ]),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
