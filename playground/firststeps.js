// What a server that has nothing to run says: what to do next, for those who may do it.

import { fill, h, icon } from "./dom.js";
import { allowed } from "./auth.js";
import { copyButton } from "./names.js";
import { attempt, say } from "./notices.js";

const EXAMPLE = `actions:
  greet:
    title: Say hello
    icon: user
    type: exec
    config:
      entrypoint: echo
      command: ["hello, [[.name]]"]
      parameters:
        name: {default: world}
`;

export class FirstSteps {
  constructor(app) {
    this.#app = app;
    this.element = h("section.card.first-steps", { "aria-label": "First steps", hidden: true });
  }

  element;
  #app;
  #shown = "";

  show() {
    const { store, link } = this.#app;
    const { actions } = store;
    const offered = actions.filter(({ hidden }) => !hidden);
    this.element.hidden = !link.connected || !store.described || offered.length > 0;
    const shown = JSON.stringify([actions.length, allowed("reload")]);
    if (this.element.hidden || shown === this.#shown) return;
    this.#shown = shown;
    if (actions.length) {
      fill(this.element, h("h3", null, "Everything here is kept out of sight"), h("p", null, "All actions of this server are hidden. They can be started under Actions, by programs and by overseerctl."), h("a.button", { href: "#actions" }, "Actions"));
    } else if (allowed("reload")) this.#administer();
    else {
      fill(this.element, h("h3", null, "There is nothing to run yet"), h("p", null, "Whoever looks after this server adds actions to its configuration; they appear here at once."), h("a.button", { href: "#tasks" }, icon("list"), "Watch its tasks"));
    }
  }

  #administer() {
    const reload = h("button.primary", { type: "button", onclick: () => this.#reload() }, icon("again"), "Reload the configuration");
    fill(
      this.element,
      h("h3", null, "There is nothing to run yet"),
      h(
        "ol.steps",
        null,
        h("li", null, h("p", null, "Put an action into the server's configuration file. This one greets:"), h("div.example", null, h("pre", null, EXAMPLE), copyButton("the example", EXAMPLE))),
        h("li", null, h("p", null, "Have the server read the file. What runs goes on."), reload),
        h("li", null, h("p", null, "Press Start on its tile: what it writes appears as it is written.")),
      ),
    );
  }

  #reload() {
    return attempt(async () => {
      await this.#app.link.request({ type: "reload" });
      say("Reloaded the configuration");
      this.#app.store.describe();
    });
  }
}
