// What stands between a run's head and its lines: search, a time to go to, streams and times.

import { flip, h, iconButton, isPressed, setText, toggle } from "./dom.js";
import { fieldTime } from "./format.js";

const SETTLED = 350; // ms without another key, after which what was typed is looked for

/** The tools; `acts`: find, next (backwards), jump (timestamp), streams, times (on): called when they are used. */
export function buildRunTools(times, acts) {
  const search = h("input", {
    type: "search",
    placeholder: "Search all of it",
    "aria-label": "Search this run's output",
    title: "Search all of its output (/); Enter goes to the next match, Shift+Enter to the one before",
    spellcheck: "false",
  });
  let timer = 0;
  let told = ""; // what is being looked for
  const wanted = () => ({ text: search.value, regex: isPressed(regex), exact: isPressed(exact) });
  const find = () => {
    clearTimeout(timer);
    told = JSON.stringify(wanted());
    acts.find();
  };
  const regex = toggle(".*", "Regular expression", find);
  const exact = toggle("Aa", "Match case, which is quicker", find);
  const found = h("span.found", { role: "status" });
  const before = iconButton("up", "Match before", () => acts.next(true), { key: "Shift+N" });
  const after = iconButton("next", "Next match", () => acts.next(false), { key: "N" });
  const at = h("input.at", { type: "datetime-local", step: "1", "aria-label": "Go to a time", title: "Go to a time (g), with Enter" });
  const go = () => {
    if (!at.value) return;
    if (!isPressed(time)) time.click();
    acts.jump(new Date(at.value).toISOString());
  };
  const stream = (text, about) => {
    const button = toggle(text, about, () => {
      // One at least is shown.
      if (!isPressed(out) && !isPressed(err)) flip(button === out ? err : out);
      acts.streams();
    });
    flip(button);
    return button;
  };
  const out = stream("out", "Show stdout");
  const err = stream("err", "Show stderr");
  const time = toggle("time", "Show the time of each line (t)", () => acts.times(isPressed(time)));
  if (times) flip(time);
  const size = h("span.found.place");
  const fold = iconButton("dots", "More tools", () => {
    fold.setAttribute("aria-expanded", String(element.classList.toggle("open")));
  });
  fold.classList.add("more-tools");
  fold.setAttribute("aria-expanded", "false");

  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, search.value ? SETTLED : 0);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      if (told !== JSON.stringify(wanted())) find();
      else acts.next(event.shiftKey);
    } else if (event.key === "Escape" && search.value) {
      search.value = "";
      find();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  at.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), go()));

  const element = h(
    "div.pane-tools.run-tools",
    null,
    h("span.find", null, search, before, after, fold),
    found,
    h("span.how", null, regex, exact),
    h("span.when", null, at, h("button.toggle", { type: "button", title: "Go to the first line from this time on", onclick: go }, "go to time")),
    out,
    err,
    time,
    size,
  );
  return {
    element,
    search,
    at,
    time,
    get wanted() {
      return wanted();
    },
    /** "": both. */
    get stream() {
      if (isPressed(out) && isPressed(err)) return "";
      return isPressed(out) ? "stdout" : "stderr";
    },
    /** As for another run, in which this is looked for, or nothing. */
    clear(next) {
      search.value = next?.text ?? "";
      if (next && isPressed(regex) !== next.regex) flip(regex);
      if (next && isPressed(exact) !== next.exact) flip(exact);
      for (const button of [out, err]) if (!isPressed(button)) flip(button);
      at.value = "";
      told = JSON.stringify(wanted());
      setText(found, "");
      setText(size, "");
    },
    showFound(text, bad) {
      setText(found, text);
      found.classList.toggle("problem", bad);
    },
    showPlace(text) {
      setText(size, text);
    },
    /** The run's time, where none was chosen. */
    showTime({ started, ended }) {
      at.min = fieldTime(Date.parse(started));
      if (ended) at.max = fieldTime(Date.parse(ended) + 1000);
      if (!at.value) at.value = at.min;
    },
  };
}
