// The keys, in a dialog.

import { h } from "./dom.js";

const KEYS = [
  [
    "Everywhere",
    [
      ["1 … 5", "Tasks, Actions, Pools, Activity, Console"],
      ["n", "start something: to the form of the last action"],
      ["/", "search in this view"],
      ["o", "to the next output, and back to the view"],
      ["Esc", "leave a field, so that keys work again; close the output one is in"],
      ["?", "this help"],
    ],
  ],
  [
    "Tasks",
    [
      ["↑ ↓ PgUp PgDn", "choose a task"],
      ["Enter", "show or close its output"],
      ["x", "stop it"],
      ["r", "restart it; reset it when it is errored, start it again when it is over"],
      ["s", "send it a signal"],
    ],
  ],
  [
    "Output",
    [
      ["↑ ↓ PgUp PgDn Home", "go through the lines; End follows the newest"],
      ["Enter", "unfold JSON or a long line"],
      ["/", "filter; then Enter and Shift+Enter for the next and the one before"],
      ["p", "pause and go on"],
      ["t", "times"],
    ],
  ],
  ["Forms", [["Enter, Ctrl+Enter", "start, or send"]]],
];

/** Show the dialog. */
export function showHelp() {
  const dialog = h(
    "dialog.help",
    { "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keys"),
    KEYS.map(([title, rows]) => [
      h("h3", null, title),
      h(
        "dl",
        null,
        rows.map(([key, text]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, text))),
      ),
    ]),
    h("form.row.end", { method: "dialog" }, h("button.primary", { autofocus: true }, "Close")),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
