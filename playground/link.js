// The page's side of the connection: requests that return promises, and events for whoever listens.

const ANSWER_WITHIN = 15_000; // ms; a server that says nothing for so long is tried anew

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
    this.#worker.onmessage = ({ data }) => (data.status ? this.#changed(data.status) : this.#take(data.batch));
  }

  #worker;
  #number = 0;
  #waiting = new Map(); // id -> {resolve, reject, timer}
  #listeners = new Map(); // type -> [function]

  open(url) {
    this.#worker.postMessage({ open: url });
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

  /**
   * Hear of messages by type; also "status", "batch" (after each batch), "*" (every message that came) and
   * "sent" (every message that went).
   */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, []);
    this.#listeners.get(type).push(listener);
  }

  /** Send a request and return the promise of its answer. `own`: the page asks by itself, nobody did. */
  request(message, { own = false, within = ANSWER_WITHIN } = {}) {
    if (!this.connected) return Promise.reject(new Lost("not connected"));
    const id = this.#send(message, own);
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
    this.#tell("sent", { message: message instanceof Object ? message : undefined, text, own: false });
  }

  #send(message, own) {
    this.#number += 1;
    const id = message.id ?? `p${this.#number}`;
    const { type, ...fields } = message;
    const whole = { type, id, ...fields };
    this.#worker.postMessage({ send: JSON.stringify(whole) });
    this.#tell("sent", { message: whole, own });
    return id;
  }

  #changed(status) {
    const before = this.status.state;
    this.status = status;
    if (before === "open" && status.state !== "open") {
      for (const { reject, timer } of this.#waiting.values()) {
        clearTimeout(timer);
        reject(new Lost("the connection was lost"));
      }
      this.#waiting.clear();
    }
    this.#tell("status", status);
  }

  #take(batch) {
    this.#worker.postMessage({ taken: true });
    for (const message of batch) {
      const waiting = message.id ? this.#waiting.get(message.id) : undefined;
      this.#tell("*", { message, own: waiting?.own ?? false });
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
