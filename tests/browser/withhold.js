// A page whose server is slow: what it answers about tasks and runs is kept back until release([type, …]).
// The types of those that are kept are in the attribute data-kept of the page.
(() => {
  const { Worker } = window;
  const asked = new Map(); // id -> type of request
  let kept = []; // messages
  let take = () => {};
  const typeOf = ({ id }) => asked.get(id);
  const show = () => (document.documentElement.dataset.kept = kept.map(typeOf).join(" "));
  const withheld = new Set(["watch", "runs", "run_stats"]);
  window.release = (types) => {
    for (const type of types) withheld.delete(type);
    const free = kept.filter((message) => types.includes(typeOf(message)));
    kept = kept.filter((message) => !free.includes(message));
    show();
    take({ data: { batch: free, sizes: free.map(() => 100) } });
  };
  window.Worker = class extends Worker {
    set onmessage(taker) {
      take = taker;
      super.onmessage = ({ data }) => {
        if (!data.batch) return take({ data });
        const late = data.batch.filter((message) => withheld.has(typeOf(message)));
        kept.push(...late);
        show();
        const batch = data.batch.filter((message) => !late.includes(message));
        take({ data: { batch, sizes: batch.map(() => 100) } });
      };
    }
    postMessage(data) {
      if (data.send) {
        const { id, type } = JSON.parse(data.send);
        asked.set(id, type);
      }
      super.postMessage(data);
    }
  };
})();
