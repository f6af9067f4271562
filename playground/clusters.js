// The clusters that tasks run on: whether they are there, and what runs where. Nothing is shown where there are none.

import { fill, h, icon, named } from "./dom.js";
import { count, many, sentence } from "./format.js";
import { nameById } from "./names.js";
import { addressOf } from "./router.js";

const AGAIN = 5000; // ms between two looks, while they are seen

export class Clusters {
  /** `seen`: whether they are. */
  constructor(app, seen) {
    this.#app = app;
    this.#seen = seen;
    app.link.on("status", ({ state }) => {
      if (state !== "open") return;
      this.#none = false; // perhaps another server
      this.load();
    });
    setInterval(() => document.hidden || this.load(), AGAIN);
  }

  element = h("section.clusters", { "aria-label": "Clusters", hidden: true });
  #app;
  #seen;
  #none = false; // the server has none, or is older
  #busy = false; // schedulers may take seconds to answer
  #drawn = "";

  /** Look again. */
  async load() {
    const { link } = this.#app;
    if (this.#none || this.#busy || !this.#seen() || !link.connected) return;
    this.#busy = true;
    try {
      const { clusters } = await link.request({ type: "cluster" }, { own: true });
      this.#none = clusters.length === 0;
      this.#show(clusters);
    } catch {
      this.#none = link.connected;
    }
    this.#busy = false;
  }

  #show(clusters) {
    this.element.hidden = clusters.length === 0;
    const drawn = JSON.stringify(clusters);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    fill(this.element, h("h2", null, "Clusters"), h("div.cards", null, clusters.map((each) => this.#card(each))));
  }

  #card({ address, actions, connected, error, waiting, workers }) {
    const threads = workers.reduce((sum, worker) => sum + worker.threads, 0);
    const numbers = connected ? `${many(workers.length, "worker")}, ${many(threads, "thread")}, ${count(waiting.length)} waiting` : sentence(error || "not connected");
    return h(
      "section.card.whole",
      { "aria-label": address },
      h("div.row.pool-head", null, h("h3", null, named(address)), h(`span.state.s-${connected ? "running" : "errored"}`, null, icon(connected ? "check" : "bad"), connected ? "Connected" : "Not connected")),
      h(connected ? "p.numbers" : "p.numbers.problem", null, numbers),
      h("p.hint", null, "For ", actions.flatMap((name, at) => [at ? ", " : "", named(name)])),
      h("ul.workers", null, workers.map((worker) => this.#worker(worker))),
    );
  }

  #worker({ name, address, state, threads, busy, tasks }) {
    const share = busy === undefined ? 0 : Math.min(1, busy / Math.max(1, threads));
    const bar = h("div.fill");
    bar.style.width = `${share * 100}%`;
    bar.classList.toggle("full", share >= 1);
    const taken = busy === undefined ? many(threads, "thread") : `${count(busy)} of ${many(threads, "thread")} taken`;
    const { store } = this.#app;
    const link = (id) => h("a.name", { href: addressOf("tasks", [id]), title: id }, named(nameById(store, id)));
    return h(
      "li",
      null,
      h("b", { title: address }, named(name)),
      h("span.worker-state", null, state),
      busy === undefined ? h("span") : h("div.meter", { role: "meter", "aria-label": name, "aria-valuemin": "0", "aria-valuemax": String(threads), "aria-valuenow": String(busy), "aria-valuetext": taken }, bar),
      h("span.age", null, taken),
      tasks.length ? h("span.holds", null, tasks.map(link)) : null,
    );
  }
}
