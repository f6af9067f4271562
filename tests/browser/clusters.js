// What the page shows of a cluster that answers so.
async () => {
  const { Clusters } = await import("/clusters.js");
  const worker = (name, busy, tasks) => ({ name, address: `tcp://${name}:9000`, state: "running", threads: 4, busy, tasks });
  const clusters = [
    { address: "tcp://scheduler:8786", actions: ["train"], connected: true, waiting: ["b"], workers: [worker("one", 4, ["a"]), worker("two", 0, [])] },
    { address: "tcp://lost:8786", actions: ["render"], connected: false, error: "connection refused", waiting: [], workers: [] },
  ];
  const link = { on: () => undefined, connected: true, request: async () => ({ clusters }) };
  const store = { tasks: new Map([["a", { task_id: "a", action: "train", params: {} }]]), action: () => undefined };
  const shown = new Clusters({ link, store }, () => true);
  document.querySelector("#view-pools").append(shown.element);
  await shown.load();
}
