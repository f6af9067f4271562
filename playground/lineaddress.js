// The address of a line of a task's output.

/** Where a line is, by its seq. */
export const lineAddress = (taskId, seq) => `#tasks/${encodeURIComponent(taskId)}?line=${seq}`;

/** What an address says of a line: {taskId, seq}, or null. */
export function addressedLine(address = location.hash) {
  const found = /^#tasks\/([^/?]+)\?line=(\d+)$/.exec(address);
  return found && { taskId: decodeURIComponent(found[1]), seq: Number(found[2]) };
}

export function settle(address) {
  history.replaceState(history.state, "", address);
}
