// Whether the page is connected, always in sight, and loudly when it is not.

import { fill, h, icon, setText } from "./dom.js";
import { duration } from "./format.js";

const WORDS = { open: "Connected", connecting: "Connecting…", waiting: "Disconnected", closed: "Signed out" };

export class Banner {
  /** `chip` is the small sign in the head, `bar` the stripe below it. */
  constructor(app, chip, bar) {
    this.#app = app;
    this.#chip = chip;
    this.#bar = bar;
    this.#text = h("span", { role: "status" });
    fill(bar, icon("plug"), this.#text, h("button", { type: "button", onclick: () => app.link.retry() }, "Try now"));
    app.link.skew = app.skew;
    app.link.on("status", (status) => this.#show(status));
    setInterval(() => this.#tick(), 1000);
    this.#show(app.link.status);
  }

  #app;
  #chip;
  #bar;
  #text;
  #since = 0; // when the connection was lost, 0 while it is there
  #shown = "";

  #show({ state, code, reason }) {
    const was = this.#shown;
    // Attempts to reconnect are one state to a person.
    this.#shown = state === "connecting" && this.#since ? "waiting" : state;
    this.#chip.className = `connection is-${this.#shown}`;
    setText(this.#chip, WORDS[this.#shown]);
    document.body.classList.toggle("is-offline", this.#shown !== "open");
    if (state === "open") {
      this.#since = 0;
      this.#bar.hidden = true;
    } else if (state === "waiting" && !this.#since) {
      this.#since = Date.now();
      this.#bar.hidden = was !== "open" && was !== "connecting";
      this.#why = reason || (code === 1013 ? "this page read too slowly" : "");
    }
    this.#tick();
  }

  #why = "";

  #tick() {
    if (!this.#since) return;
    const why = this.#why ? ` (${this.#why})` : "";
    const since = duration(Date.now() - this.#since);
    setText(this.#text, `No connection to the server${why}. Trying again by itself; what is shown is ${since} old.`);
  }
}
