// Buttons, fields and pictures without a name; ids that are there twice; references to nothing.
() => {
  const bad = [];
  for (const each of document.querySelectorAll("button, input, select, textarea, canvas, [role=grid], [role=log], dialog")) {
    if (!each.checkVisibility()) continue;
    const byId = (each.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.innerText).join("");
    const name = each.getAttribute("aria-label") || byId || each.labels?.[0]?.innerText || (each.matches("button") && each.innerText);
    if (!name?.trim()) bad.push(each.outerHTML.slice(0, 120));
  }
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  bad.push(...ids.filter((id, at) => ids.indexOf(id) !== at));
  for (const attribute of ["aria-describedby", "aria-labelledby", "for", "aria-activedescendant"])
    for (const each of document.querySelectorAll(`[${attribute}]`))
      for (const id of each.getAttribute(attribute).split(" "))
        if (!document.getElementById(id)) bad.push(`${attribute} ${id}`);
  return bad;
}
