// The bar between table and outputs: drag it, or move it with the arrow keys.

import { h } from "./dom.js";
import { recall, remember } from "./prefs.js";

/** The bar that says how high the outputs are in `frame`. */
export function splitter(frame) {
  const set = (share) => {
    const percent = Math.round(Math.max(15, Math.min(85, share)));
    frame.style.setProperty("--dock", `${percent}%`);
    bar.setAttribute("aria-valuenow", String(percent));
    remember("dock", percent);
  };
  const bar = h("div.splitter", {
    role: "separator",
    tabindex: "0",
    "aria-orientation": "horizontal",
    "aria-label": "Height of the outputs",
    "aria-valuemin": "15",
    "aria-valuemax": "85",
  });
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    bar.onpointermove = ({ clientY }) => {
      const { bottom, height } = frame.getBoundingClientRect();
      set(((bottom - clientY) / height) * 100);
    };
  });
  bar.addEventListener("pointerup", () => (bar.onpointermove = null));
  bar.addEventListener("keydown", ({ key }) => {
    const by = { ArrowUp: 5, ArrowDown: -5 }[key];
    if (by) set(Number(bar.getAttribute("aria-valuenow")) + by);
  });
  set(recall("dock", 52));
  return bar;
}
