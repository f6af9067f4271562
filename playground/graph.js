// Where the tasks of a graph stand: in columns, each to the right of everything that it depends on.

/**
 * The columns of a graph, each a list of ids, from what depends on nothing to what depends on most.
 *
 * Within a column a task stands about where those that it depends on do, so that lines cross less.
 */
export function columnsOf(nodes, edges) {
  const needs = new Map(nodes.map(({ task_id: id }) => [id, []]));
  for (const { task_id: id, depends_on: other } of edges) needs.get(id).push(other);
  const depths = new Map();
  for (const id of needs.keys()) measure(id, needs, depths);
  const columns = [];
  for (const id of needs.keys()) (columns[depths.get(id)] ??= []).push(id);
  const rows = new Map();
  for (const column of columns) {
    const wanted = new Map(column.map((id, index) => [id, heightOf(needs.get(id), rows, index)]));
    column.sort((one, other) => wanted.get(one) - wanted.get(other));
    column.forEach((id, index) => rows.set(id, index));
  }
  return columns;
}

// How many tasks come before one, on the longest way; without recursion, for a chain may be long.
function measure(start, needs, depths) {
  const open = [start];
  while (open.length) {
    const id = open.at(-1);
    const missing = needs.get(id).filter((other) => !depths.has(other));
    if (missing.length) open.push(...missing);
    else {
      depths.set(id, 1 + Math.max(-1, ...needs.get(id).map((other) => depths.get(other))));
      open.pop();
    }
  }
}

function heightOf(others, rows, otherwise) {
  if (!others.length) return otherwise;
  return others.reduce((sum, other) => sum + rows.get(other), 0) / others.length;
}
