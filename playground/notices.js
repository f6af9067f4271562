// Short notices at the page's edge, read out by screen readers, and questions before what hurts.

import { h, iconButton } from "./dom.js";

const SHOWN = 5000; // ms

/**
 * Tell something; `bad`: that something went wrong, which stays longer; `act`: [words, function], what can be done
 * about it, once; `lasts`: ms.
 */
export function say(text, { bad = false, act = null, lasts = bad || act ? SHOWN * 2 : SHOWN } = {}) {
  const box = document.getElementById("notices");
  const note = h(bad ? "div.notice.bad" : "div.notice", null, h("span", null, text));
  if (act) {
    const press = () => (note.remove(), act[1]());
    note.append(h("button.act", { type: "button", onclick: press }, act[0]));
  }
  note.append(iconButton("close", "Dismiss", () => note.remove()));
  box.append(note);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => note.remove(), lasts);
  return note;
}

/** Do something and tell when it fails. Returns whether it worked. */
export async function attempt(what) {
  try {
    await what();
    return true;
  } catch (error) {
    say(error.message, { bad: true });
    return false;
  }
}

/** Ask before something; resolves to the answer. `harm`: it cannot be undone. */
export function confirm(title, text, yes, { harm = true } = {}) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog.ask",
      { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "ask-title" }, title),
        h("p", { id: "ask-text" }, text),
        h(
          "div.row.end",
          null,
          h("button", { value: "no" }, "Cancel"),
          h(harm ? "button.danger" : "button.primary", { value: "yes", autofocus: true }, yes),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.returnValue = "no";
    dialog.showModal();
  });
}
