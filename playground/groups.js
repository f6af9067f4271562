// Actions under the headings of their groups.

const OTHERS = "Other actions";

/** Groups in the order of the file, each with its actions; what is in none comes last. */
export function grouped(actions) {
  const groups = new Map();
  for (const action of actions) {
    const name = action.group || "";
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(action);
  }
  const without = groups.get("");
  groups.delete("");
  if (without) groups.set(groups.size ? OTHERS : "", without);
  return groups;
}
