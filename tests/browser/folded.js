// Where the timeline puts four runs, three of them within a second and an hour after the first; and what it writes
// where that hour is folded.
async () => {
  const { Timeline } = await import("/timeline.js");
  const run = (id, second) => ({
    run_id: id,
    task_id: "t",
    action: "a",
    number: 1,
    status: "succeeded",
    reason: "exited",
    exit_code: 0,
    started: new Date(1.7e12 + second * 1000).toISOString(),
    duration_ms: 100,
  });
  const line = new Timeline({ titled: (action) => action });
  document.body.append(line.element);
  line.show([run("d", 3600.6), run("c", 3600.3), run("b", 3600), run("a", 0)], 1.8e12, "");
  const bars = [...line.element.querySelectorAll(".lane .run-bar")];
  const fold = line.element.querySelector(".axis b").textContent;
  line.element.remove();
  return [bars.map((bar) => parseFloat(bar.style.getPropertyValue("--at"))), fold];
}
