// Whether the page is connected, always in sight, and loudly when it is not: since when, why, and what to do.

import { fill, h, icon, setText } from "./dom.js";

const WORDS = {
  open: "Connected",
  connecting: "Connecting…",
  waiting: "Disconnected",
  "sign-in": "Signed out",
  closed: "Signed out",
};

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
    this.#show(app.link.status);
  }

  #app;
  #chip;
  #bar;
  #text;
  #shown = "";
  #seen = false; // whether there was a connection, and so something to be seen

  #show({ state, why, todo }) {
    // Attempts to reconnect are one state to a person.
    if (state !== "connecting" || this.#shown !== "waiting") this.#shown = state;
    const { link } = this.#app;
    this.#chip.className = `connection is-${this.#shown}`;
    setText(this.#chip, WORDS[this.#shown]);
    document.body.classList.toggle("is-offline", !link.connected);
    this.#bar.hidden = this.#shown !== "waiting";
    this.#seen ||= link.connected;
    if (state !== "waiting") return;
    const at = new Date(link.lostAt);
    const day = new Date().toDateString() === at.toDateString() ? "" : `${at.toLocaleDateString()} `;
    const since = `since ${day}${at.toLocaleTimeString()}`;
    const shown = this.#seen ? " The page shows the state as of then." : "";
    const what = `No connection to the server ${since}${why ? `: ${why}` : ""}.`;
    setText(this.#text, `${what} ${todo ? `${todo} ` : ""}Retrying automatically.${shown}`);
  }
}
