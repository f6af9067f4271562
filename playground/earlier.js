// The lines of the server's log before those that an output holds: loaded by a button above it, or by scrolling.

import { say } from "./notices.js";

const ENOUGH = 99_000; // lines that are held, after which the button alone loads more: see tasklog.js

export class Earlier {
  /** `loaded` is called when lines have come. */
  constructor(button, app, taskId, loaded) {
    this.#button = button;
    this.#app = app;
    this.#taskId = taskId;
    this.#loaded = loaded;
    button.addEventListener("click", () => this.#load());
  }

  #button;
  #app;
  #taskId;
  #loaded;
  #exhausted = false; // the log has no earlier lines
  #held = 0;

  /** Whether the log may have lines before those that are held. */
  get any() {
    return !this.#button.hidden;
  }

  /** Load some, unless that is going on. */
  load() {
    if (this.any && !this.#button.disabled && this.#held < ENOUGH) this.#load();
  }

  /** Show the button where there are any. */
  update(log) {
    this.#held = log.length;
    this.#button.hidden = this.#exhausted || !this.#app.watch.logged || log.firstSeq <= 1;
  }

  async #load() {
    this.#button.disabled = true;
    try {
      this.#exhausted = !(await this.#app.watch.loadEarlier(this.#taskId));
      this.#loaded();
    } catch (error) {
      say(`The log cannot be read: ${error.message}`);
    }
    this.#button.disabled = false;
  }
}
