// What each row says of its task's state: id to [word, picture, colour].
(rows) =>
  Object.fromEntries(
    rows.map((row) => {
      const cell = row.querySelector(".c-status");
      const picture = cell.querySelector("use").getAttribute("href");
      return [row.querySelector(".c-id").textContent, [cell.textContent, picture, getComputedStyle(cell).color]];
    }),
  );
