// Lines that come from a log in this page, with the tools beside them: what the output of one task and of several
// together have in common.

import { download, h } from "./dom.js";
import { count, many } from "./format.js";
import { lineLook } from "./lineprefs.js";
import { LinesBox } from "./linesbox.js";
import { LineTools } from "./linetools.js";

export class LinesPane {
  /**
   * `log`: as LinesBox takes it; `options`: `label`; `file`: the name of what is saved; `more`: further elements in the
   * menu; `keys`, `link`, `chosen`, `who`: as LinesBox takes them; `near` (): the top is near, and all lines are shown;
   * `drawn` (); `state` (): "live", "over" or "offline"; `size` (): further words on how many lines there are.
   */
  constructor(log, options) {
    this.#log = log;
    this.#options = options;
    const act = (text, onclick) => h("button", { type: "button", onclick }, text);
    this.tools = new LineTools({
      label: "Search the output",
      hint: "Search",
      only: true,
      more: [
        h("hr"),
        ...options.more,
        act("Copy what is shown", () => this.box.pick.copyAll()),
        act("Save what is shown", () => download(options.file, this.box.view.text({ raw: true }))),
      ],
      acts: {
        find: () => this.#refilter(true),
        next: (backwards) => this.box.hands.find(backwards ? -1 : 1),
        leave: () => this.box.focus(),
        streams: () => this.#refilter(),
        look: (look) => this.box.show(look),
        jump: options.jump,
        error: (backwards) => this.box.hands.error(backwards),
        follow: (on) => this.box.follow(on),
      },
    });
    const { link, chosen, who } = options;
    this.box = new LinesBox(log, {
      label: options.label,
      look: lineLook(),
      drawn: (now) => this.#drawn(now),
      near: (edge) => edge < 0 && this.#atTop(),
      link,
      chosen,
      who,
      keys: {
        ...this.tools.menu.keys,
        p: () => this.box.follow(!this.box.following),
        "/": () => this.tools.search.focus(),
        n: () => this.#next(1),
        N: () => this.#next(-1),
        ...options.keys,
      },
    });
  }

  box;
  tools;
  #log;
  #options;

  destroy() {
    this.box.destroy();
    this.tools.destroy();
  }

  #refilter(typed = false) {
    const { search } = this.tools;
    try {
      this.box.filter(this.tools.filter);
      if (typed && search.wanted.text) this.box.hands.find(0);
    } catch {
      search.showFound("no valid expression", true);
    }
  }

  // Of lines that a filter has left, the top is always near.
  #atTop() {
    const { wanted, only, out, err } = this.tools.filter;
    if (!this.box.following && !(only && wanted.text) && out && err) this.#options.near?.();
  }

  #drawn({ more }) {
    const { following, behind, view, pick, marks } = this.box;
    const { search } = this.tools;
    const { wanted } = search;
    if (!wanted.text) search.showFound("");
    else if (view.counts) {
      const at = view.placeOf(pick.cursor);
      const all = `${count(view.matches.length)}${more ? "…" : ""}`;
      search.showFound(at ? `${count(at)} of ${all}` : view.matches.length || more ? `${all} found` : "not found");
    }
    this.tools.showSize(many(this.#log.outputs, "line") + (this.#options.size?.() ?? ""));
    this.tools.showErrors(marks.count);
    this.tools.showFollow({ following, behind, state: this.#options.state() });
    this.#options.drawn?.();
  }

  #next(step) {
    if (!this.tools.search.wanted.text) return false;
    this.box.hands.find(step);
    return true;
  }
}
