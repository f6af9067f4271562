// Home: what one may want to do, as tiles; what failed and why, what runs, what comes next.

import { fill, h, inFrame, setText } from "./dom.js";
import { many, until } from "./format.js";
import { ComingUp } from "./comingup.js";
import { FirstSteps } from "./firststeps.js";
import { LastRuns } from "./lastruns.js";
import { NowList } from "./nowlist.js";
import { Tiles } from "./tiles.js";
import { Troubles } from "./troubles.js";

export class Home {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    const seen = () => !place.hidden;
    const lastRuns = new LastRuns(app);
    this.#draw = inFrame(() => this.#show());
    this.#tiles = new Tiles(app, lastRuns);
    this.#now = new NowList(app, lastRuns, seen);
    this.#troubles = new Troubles(app, lastRuns, seen, () => this.#say());
    this.#coming = new ComingUp(app, seen);
    this.#steps = new FirstSteps(app);
    fill(
      place,
      h(
        "div.home",
        null,
        h("header.hello", null, this.#headline, this.#more),
        h("div.home-main", null, this.#steps.element, this.#tiles.element),
        h("aside.home-side", { "aria-label": "The server now" }, this.#troubles.element, this.#now.element, this.#coming.element),
      ),
    );
    for (const what of ["actions", "tasks", "pools"]) app.store.on(what, this.#draw);
    app.link.on("status", this.#draw);
    lastRuns.onChange(this.#draw);
  }

  #app;
  #place;
  #draw;
  #tiles;
  #now;
  #troubles;
  #coming;
  #steps;
  #headline = h("h2");
  #more = h("p");

  get restAt() {
    return this.#place.querySelector("button.start") ?? this.#place.querySelector(".tile-title") ?? undefined;
  }

  shown() {
    this.#troubles.load();
    this.#coming.load();
    this.#draw();
  }

  #show() {
    if (this.#place.hidden) return;
    this.#steps.show();
    this.#tiles.show();
    this.#now.show();
    this.#troubles.show();
    this.#say();
  }

  // How things are, in a sentence, as far as that is known.
  #say() {
    const { counts } = this.#app.store;
    if (!counts) return;
    const running = counts.running ?? 0;
    const failed = this.#troubles.count;
    const runs = running ? `${many(running, "task")} running` : "Nothing is running";
    const fails = failed === undefined ? "" : failed ? `${many(failed, "task")} failed in the last day` : running ? "all is well" : "all is quiet";
    setText(this.#headline, fails ? `${runs}, ${fails}` : runs);
    const { next, nextAt } = this.#coming;
    const wait = Date.parse(nextAt) - this.#app.link.now;
    setText(this.#more, next && wait > 0 ? `Next: ${next}, ${until(wait)}` : "");
  }
}
