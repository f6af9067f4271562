// A page whose server can tell of lines in the making, whichever does answer: what is injected comes as if from it.
(() => {
  const { fetch, Worker } = window;
  window.fetch = async (url, options) => {
    const answer = await fetch(url, options);
    if (!String(url).endsWith("/ws/manifest")) return answer;
    const manifest = await answer.json();
    for (const type of ["start", "subscribe"]) manifest.messages[type].fields.partial = { type: "boolean" };
    return Response.json(manifest);
  };
  window.asked = [];
  window.Worker = class extends Worker {
    constructor(...all) {
      super(...all);
      window.inject = (message) => this.onmessage({ data: { batch: [message], sizes: [100] } });
    }
    postMessage(data) {
      if (!data.send) return super.postMessage(data);
      const { partial, ...message } = JSON.parse(data.send);
      if (partial) window.asked.push(message.type);
      return super.postMessage({ send: JSON.stringify(message) });
    }
  };
})();
