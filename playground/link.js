// The page's side of the connection: requests that return promises, and events for listeners.

const ANSWER_WITHIN = 15_000; // ms; a server that says nothing for so long is tried again

/** The server refused a request; `reply` is its whole message. */
export class Refused extends Error {
  constructor(reply) {
    super(reply.message);
    this.reply = reply;
  }
}

/** The connection went away before there was an answer. */
export class Lost extends Error {}

export class Link {
  constructor() {
    this.status = { state: "closed" };
    this.skew = 0; // ms by which this computer's clock is ahead of the server's
    this.#worker = new Worker(workerUrl("socket.js"), { type: "module" });
    this.#worker.onmessage = ({ data }) => {
      if (data.status) this.#changed(data.status);
      else this.#take(data.batch, data.sizes);
    };
    // When the network may be back, or the page becomes visible, it is tried at once.
    const now = () => this.status.state === "waiting" && !document.hidden && this.retry();
    addEventListener("online", now);
    addEventListener("focus", now);
    document.addEventListener("visibilitychange", now);
  }

  #worker;
  #lost = Date.now();
  #number = 0;
  #waiting = new Map(); // id -> {resolve, reject, timer}
  #listeners = new Map(); // type -> [function]

  /** `home`: the folder on the server that the page is in. */
  open(home) {
    this.#worker.postMessage({ open: home });
  }

  close() {
    this.#worker.postMessage({ close: true });
  }

  retry() {
    this.#worker.postMessage({ retry: true });
  }

  get connected() {
    return this.status.state === "open";
  }

  /** What the server's clock says, in ms; stands still, as all that is shown, while there is no connection. */
  get now() {
    return (this.#lost || Date.now()) - this.skew;
  }

  /** Since when there is no connection, by this computer's clock; 0 while there is one. */
  get lostAt() {
    return this.#lost;
  }

  /**
   * Hear of messages by type; also "status", "batch" (after each batch), "*" (every message that came) and
   * "sent" (every message that went).
   */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, []);
    this.#listeners.get(type).push(listener);
  }

  /**
   * Send a request and return the promise of its answer. `own`: the page asks by itself, nobody did. `shown`: what
   * those who hear of it are shown, where it holds a secret.
   */
  request(message, { own = false, within = ANSWER_WITHIN, shown = message } = {}) {
    if (!this.connected) return Promise.reject(new Lost("not connected"));
    const id = this.#send(message, own, shown);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Lost("the server does not answer"));
        if (this.connected) this.retry();
      }, within);
      this.#waiting.set(id, { resolve, reject, timer, own });
    });
  }

  /** Send a request that has no answer but a refusal; resolves when a later request has been answered. */
  async command(message, { own = false } = {}) {
    if (!this.connected) throw new Lost("not connected");
    const id = this.#send(message, own);
    const refused = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, timer: 0 }));
    // Requests are carried out in order: once this one is answered, the refusal would have come.
    const fence = this.request({ type: "metrics" }, { own: true });
    try {
      await Promise.race([refused, fence]);
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Send a text as it is; for the console. */
  sendText(text) {
    this.#worker.postMessage({ send: text });
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      // It goes all the same: to see what the server makes of it.
    }
    this.#tell("sent", { message: message instanceof Object ? message : undefined, text, own: false, size: text.length });
  }

  #send(message, own, shown = message) {
    this.#number += 1;
    const id = message.id ?? `p${this.#number}`;
    const { type, ...fields } = message;
    const whole = { type, id, ...fields };
    const text = JSON.stringify(whole);
    this.#worker.postMessage({ send: text });
    this.#tell("sent", { message: Object.assign({ type, id }, shown, { id }), own, size: text.length });
    return id;
  }

  #changed(status) {
    const before = this.status.state;
    this.status = status;
    if (status.state === "open") this.#lost = 0;
    else if (!this.#lost) this.#lost = Date.now();
    if (before === "open" && status.state !== "open") {
      for (const { reject, timer } of this.#waiting.values()) {
        clearTimeout(timer);
        reject(new Lost("the connection was lost"));
      }
      this.#waiting.clear();
    }
    this.#tell("status", status);
  }

  #take(batch, sizes) {
    this.#worker.postMessage({ taken: true });
    for (const [at, message] of batch.entries()) {
      const waiting = message.id ? this.#waiting.get(message.id) : undefined;
      const own = waiting?.own ?? message.cursor !== undefined; // the page watches by itself
      this.#tell("*", { message, own, size: sizes[at] });
      this.#tell(message.type, message);
      if (!waiting) continue;
      clearTimeout(waiting.timer);
      this.#waiting.delete(message.id);
      if (message.type === "error") waiting.reject(new Refused(message));
      else waiting.resolve(message);
    }
    this.#tell("batch", batch);
  }

  #tell(type, value) {
    for (const listener of this.#listeners.get(type) ?? []) listener(value);
  }
}

// The page's policy lets no text become a script's address but through here.
function workerUrl(name) {
  const url = new URL(name, import.meta.url).href;
  const policy = globalThis.trustedTypes?.createPolicy("overseer", { createScriptURL: () => url });
  return policy ? policy.createScriptURL("") : url;
}
