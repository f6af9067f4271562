// The button above an output that loads the lines of the log before those that are held.

import { say } from "./notices.js";

/** `loaded` is called when they are there. Gives the button an `update`, which shows it where there are any. */
export function loadEarlierWith(button, app, taskId, loaded) {
  let exhausted = false; // the log has no earlier lines
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      exhausted = !(await app.watch.loadEarlier(taskId));
      loaded();
    } catch (error) {
      say(`The log cannot be read: ${error.message}`);
    }
    button.disabled = false;
  });
  button.update = (log) => {
    button.hidden = exhausted || !app.watch.logged || log.firstSeq <= 1;
  };
}
