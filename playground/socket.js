// The connection, on a thread of its own (a Worker), so that a flood of messages never stands between a
// person and the page. It parses, joins consecutive lines of output into chunks, and hands everything on in
// order, one batch at a time: the next one leaves when the page has taken the one before. A single line is
// therefore passed on at once, and a flood in large pieces.
//
// To the page:  {status: {state, code?, reason?, retryIn?}}    state: connecting, open, waiting, closed
//               {batch: [item...]}                            item: a message, or a chunk of output lines
// From it:      {open: url} {send: text} {taken: true} {retry: true} {close: true}
//
// A chunk: {type: "output", task_id, pid, stream, ts, seq (of the first), lines: [...], truncated}.

const BATCH = 2000; // lines in one batch: a few milliseconds of work for the page
const CHUNK = 500; // lines in one chunk
const HELD = 200_000; // lines kept for a page that does not take them; older ones are let go, and it will see the gap
const RETRY = [300, 600, 1200, 2500, 5000]; // ms, each plus a random part

let url = "";
let socket = null;
let failures = 0;
let retryTimer = 0;
let pending = [];
let pendingLines = 0;
let waiting = false; // a batch is on its way and was not taken yet

onmessage = ({ data }) => {
  if (data.taken) {
    waiting = false;
    pass();
  } else if (data.send !== undefined) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(data.send);
  } else if (data.open) {
    url = data.open;
    connect();
  } else if (data.retry) {
    connect();
  } else if (data.close) {
    leave();
    postMessage({ status: { state: "closed" } });
  }
};

function leave() {
  clearTimeout(retryTimer);
  if (!socket) return;
  const old = socket;
  socket = null; // so that its last events are nobody's
  old.close();
}

function connect() {
  leave();
  postMessage({ status: { state: "connecting" } });
  const mine = new WebSocket(url);
  socket = mine;
  mine.onopen = () => {
    if (socket !== mine) return;
    failures = 0;
    pending = [];
    pendingLines = 0;
    postMessage({ status: { state: "open" } });
  };
  mine.onmessage = ({ data }) => {
    if (socket === mine) receive(data);
  };
  mine.onclose = ({ code, reason }) => {
    if (socket !== mine) return;
    socket = null;
    const retryIn = RETRY[Math.min(failures, RETRY.length - 1)] * (1 + Math.random() / 2);
    failures += 1;
    retryTimer = setTimeout(connect, retryIn);
    pass();
    postMessage({ status: { state: "waiting", code, reason, retryIn } });
  };
}

function receive(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    message = { type: "unreadable", text };
  }
  if (message.type === "output") addLine(message);
  else pending.push(message);
  if (!waiting) pass();
}

function addLine(message) {
  pendingLines += 1;
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
    !message.truncated
  ) {
    last.lines.push(message.data);
    return;
  }
  const { data, ...chunk } = message;
  chunk.lines = [data];
  pending.push(chunk);
  if (pendingLines > HELD) forget();
}

// Let the older half of the output go; everything else stays.
function forget() {
  let excess = pendingLines - HELD / 2;
  pending = pending.filter((item) => {
    if (excess <= 0 || !item.lines) return true;
    excess -= item.lines.length;
    pendingLines -= item.lines.length;
    return false;
  });
}

function pass() {
  if (waiting || !pending.length) return;
  let lines = 0;
  let end = 0;
  while (end < pending.length && lines < BATCH) {
    lines += pending[end].lines?.length ?? 1;
    end += 1;
  }
  const batch = end === pending.length ? pending : pending.slice(0, end);
  pending = end === pending.length ? [] : pending.slice(end);
  for (const item of batch) pendingLines -= item.lines?.length ?? 0;
  waiting = true;
  postMessage({ batch });
}
