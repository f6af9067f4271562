// Times as people read them: "3 min ago", with the exact time on hover; they go on while there is a connection, and
// stand still, as all that is shown, while there is none.

import { h, setText } from "./dom.js";
import { ago, moment, until } from "./format.js";

const TICK = 1000; // ms

/** A time in the past, or to come: `timestamp` in RFC 3339, `now` the server's time in ms. */
export function whenOf(timestamp, now) {
  const time = h("time.when-ago");
  setWhen(time, timestamp, now);
  return time;
}

/** Have an element made by whenOf show another time. */
export function setWhen(time, timestamp, now) {
  if (time.dateTime !== timestamp) {
    time.dateTime = timestamp ?? "";
    time.title = timestamp ? moment(timestamp) : "";
  }
  setText(time, timestamp ? words(timestamp, now) : "");
}

/** Keep all of them right. */
export function tellTime(link) {
  setInterval(() => {
    if (document.hidden || !link.connected) return;
    for (const time of document.querySelectorAll(".view:not([hidden]) .when-ago")) {
      if (time.dateTime) setText(time, words(time.dateTime, link.now));
    }
  }, TICK);
}

function words(timestamp, now) {
  const at = Date.parse(timestamp);
  return at > now ? until(at - now) : ago(now - at);
}
