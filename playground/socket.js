// The connection, on a thread of its own (a Worker), so that a flood of messages never stands between a
// person and the page. It parses, joins consecutive lines of output into chunks, and hands everything on in
// order, one batch at a time: the next one leaves when the page has taken the one before. A single line is
// therefore passed on at once, and a flood in large pieces.
//
// While the server is away it is asked over HTTP first: that says why, and browsers make a page wait ever longer
// for WebSockets that fail.
//
// To the page:  {status: {state, why?, todo?}}   state: connecting, open, waiting, sign-in, closed
//               {batch: [item...], sizes: [...]} item: a message, or a chunk of output lines; its characters
// From it:      {open: home} {send: text} {taken: true} {retry: true} {close: true}
//
// A chunk: {type: "output", task_id, pid, stream, ts, seq (of the first), lines: [...], truncated, overwritten}.

import { look, socketUrl, whyNoSocket } from "./reach.js";

const BATCH = 2000; // lines in one batch: a few milliseconds of work for the page
const CHUNK = 500; // lines in one chunk
// What is kept for a page that does not take it; older output is let go, and it will see the gap.
const HELD = { lines: 200_000, chars: 48_000_000 };
const FIRST = 250; // ms before the first attempt to come back; twice as long each time,
const SOON = 1000; // up to this, less a random part, while the server may be restarting;
const RESTARTING = 60_000; // ms for which it may be
const LONGEST = 5000; // up to this after it
const PATIENT = 1000; // ms after which one that does not answer is asked again, beside the first question
const UPGRADED = 1012; // the close code of an encrypted connection to a server that is there again at once
const OPENED_WITHIN = 10_000; // ms for a WebSocket to open

let home = "";
let socket = null;
let attempt = 0; // number of the present one, so that events of an older one are ignored
let failures = 0;
let lostAt = 0; // when the connection was lost
let retryTimer = 0;
let pending = [];
let sizes = []; // of what is pending
let pendingLines = 0;
let pendingChars = 0;
let waiting = false; // a batch is on its way and was not taken yet

onmessage = ({ data }) => {
  if (data.taken) {
    waiting = false;
    pass();
  } else if (data.send !== undefined) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(data.send);
  } else if (data.open) {
    home = data.open;
    failures = 0;
    connect();
  } else if (data.retry) {
    failures = Math.min(failures, 1);
    connect({ ask: true });
  } else if (data.close) {
    leave();
    postMessage({ status: { state: "closed" } });
  }
};

function leave() {
  attempt += 1;
  clearTimeout(retryTimer);
  socket?.close();
  socket = null;
}

async function connect({ ask = false } = {}) {
  leave();
  const mine = attempt;
  postMessage({ status: { state: "connecting" } });
  if (!ask || (await asked(mine))) open(mine);
}

// Whether the server is there and admits us; other findings are reported.
async function asked(mine) {
  const found = await lookSoon(mine);
  if (mine !== attempt) return false;
  if (found.outcome === "sign-in") postMessage({ status: { state: "sign-in" } });
  else if (found.outcome !== "in") wait(found);
  return found.outcome === "in";
}

// What look finds. Packets to a machine that is away are lost, and a question waits for its timeout when the machine
// is long back: it is asked again meanwhile, and the first that finds it counts.
function lookSoon(mine) {
  return new Promise((resolve) => {
    let open = 0;
    let timer = 0;
    const ask = async () => {
      open += 1;
      timer = setTimeout(() => mine === attempt && ask(), PATIENT);
      const found = await look(home);
      open -= 1;
      if (found.outcome === "away" && open) {
        if (mine === attempt) postMessage({ status: { ...found, state: "waiting" } });
        return; // another is on its way
      }
      clearTimeout(timer);
      resolve(found);
    };
    ask();
  });
}

function open(mine) {
  const opening = new WebSocket(socketUrl(home));
  socket = opening;
  let opened = false;
  const late = setTimeout(() => opening.close(), OPENED_WITHIN);
  opening.onopen = () => {
    clearTimeout(late);
    if (mine !== attempt) return;
    opened = true;
    failures = 0;
    lostAt = 0;
    pending = [];
    sizes = [];
    pendingLines = pendingChars = 0;
    postMessage({ status: { state: "open" } });
  };
  opening.onmessage = ({ data }) => {
    if (mine === attempt) receive(data);
  };
  opening.onclose = async ({ code, reason }) => {
    clearTimeout(late);
    if (mine !== attempt) return;
    socket = null;
    pass();
    if (opened && code === UPGRADED) {
      connect();
      return;
    }
    if (opened) {
      const why = reason || (code === 1013 ? "this page read too slowly" : "");
      wait({ why, todo: "" });
      return;
    }
    if (!(await asked(mine))) return;
    const inTheWay = await whyNoSocket(home);
    if (mine === attempt) wait(inTheWay);
  };
}

// Say why, and try again soon.
function wait({ why, todo, wait: least = 0 }) {
  lostAt ||= Date.now();
  const pause = Math.min(FIRST * 2 ** failures, Date.now() - lostAt < RESTARTING ? SOON : LONGEST);
  failures += 1;
  retryTimer = setTimeout(connect, Math.max(least, pause * (1 - Math.random() / 2)), { ask: true });
  postMessage({ status: { state: "waiting", why, todo } });
}

function receive(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    message = { type: "unreadable", text };
  }
  if (message.type === "output") addLine(message, text.length);
  else {
    pending.push(message);
    sizes.push(text.length);
  }
  if (!waiting) pass();
}

function addLine(message, size) {
  pendingLines += 1;
  pendingChars += size;
  const last = pending.at(-1);
  if (
    last?.lines &&
    last.lines.length < CHUNK &&
    last.task_id === message.task_id &&
    last.ts === message.ts &&
    last.stream === message.stream &&
    last.pid === message.pid &&
    last.seq + last.lines.length === message.seq &&
    !last.truncated &&
    !last.overwritten &&
    !message.truncated &&
    !message.overwritten
  ) {
    last.lines.push(message.data);
    sizes[sizes.length - 1] += size;
    return;
  }
  const { data, ...chunk } = message;
  chunk.lines = [data];
  pending.push(chunk);
  sizes.push(size);
  if (pendingLines > HELD.lines || pendingChars > HELD.chars) forget();
}

// Let the older half of the output go; everything else stays.
function forget() {
  const items = [];
  const kept = [];
  pending.forEach((item, at) => {
    const excess = pendingLines > HELD.lines / 2 || pendingChars > HELD.chars / 2;
    if (item.lines && excess) letGo(item, sizes[at]);
    else {
      items.push(item);
      kept.push(sizes[at]);
    }
  });
  pending = items;
  sizes = kept;
}

function letGo(item, size) {
  if (!item.lines) return;
  pendingLines -= item.lines.length;
  pendingChars -= size;
}

function pass() {
  if (waiting || !pending.length) return;
  let lines = 0;
  let end = 0;
  while (end < pending.length && lines < BATCH) {
    lines += pending[end].lines?.length ?? 1;
    letGo(pending[end], sizes[end]);
    end += 1;
  }
  const batch = pending.slice(0, end);
  const theirs = sizes.slice(0, end);
  pending = pending.slice(end);
  sizes = sizes.slice(end);
  waiting = true;
  postMessage({ batch, sizes: theirs });
}
