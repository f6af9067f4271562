// Texts and tooltips in which something turns the writing around, or cannot be seen.
() => {
  const bad = /[\u0000-\u0008\u000e-\u001f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
  return [...document.querySelectorAll("body *")]
    .flatMap((each) => [
      each.title,
      each.getAttribute("aria-label"),
      ...[...each.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data),
    ])
    .filter((text) => typeof text === "string" && bad.test(text));
}
