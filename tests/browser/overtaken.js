// Which runs are listed: at first, when a look again has overtaken the one for a single task, and after both answers.
async () => {
  const { Runs } = await import("/runs.js");
  const run = (id) => ({ run_id: id, task_id: id, action: "a", number: 1, status: "succeeded", reason: "exited", params: {}, started: "2030-01-01T00:00:00Z", duration_ms: 1, trigger: {} });
  const answers = [];
  const link = { on: () => undefined, connected: true, now: Date.parse("2030-01-01T01:00:00Z"), request: () => new Promise((resolve) => answers.push(resolve)) };
  const store = { on: () => undefined, action: () => undefined, tasks: new Map() };
  const filters = { status: {}, reason: {}, task: { value: "" }, fields: () => ({}), seen: new Set(), near: [], any: false };
  const runs = new Runs({ link, store }, filters, () => true);
  const answer = (number, ...ids) => answers[number]({ runs: ids.map(run) });
  const listed = async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return [...runs.element.querySelectorAll(".run")].map((row) => row.dataset.run);
  };
  document.body.append(runs.element);
  runs.load();
  answer(0, "c", "b", "a");
  const found = [await listed()];
  runs.load({ anew: true });
  runs.load();
  answer(2, "b");
  found.push(await listed());
  answer(1, "b");
  found.push(await listed());
  runs.element.remove();
  return found;
}
