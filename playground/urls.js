// Addresses in what a task prints. Only http and https lead anywhere, and what one sees is where one goes.

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\\^{|}\u2400-\u243f\ufffd]+/gi;
const AFTER = /[.,;:!?*_~]+$/; // what ends the sentence, not the address
const PAIRS = { ")": "(", "]": "[" };
const MOST = 100; // in one line

/** Where they are in a text: [[from, to, address]...]. */
export function addressesIn(text) {
  const found = [];
  if (!text.includes("://")) return found;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const address = trimmed(match);
    if (!URL.canParse(address)) continue;
    const { protocol, host, href } = new URL(address);
    if (!host || (protocol !== "http:" && protocol !== "https:")) continue;
    found.push([index, index + address.length, href]);
    if (found.length === MOST) break;
  }
  return found;
}

// Without what belongs to the sentence around it: a full stop, a bracket that was opened before.
function trimmed(match) {
  let address = match;
  for (;;) {
    const before = address;
    address = address.replace(AFTER, "");
    const opening = PAIRS[address.at(-1)];
    if (opening && address.split(opening).length < address.split(address.at(-1)).length) address = address.slice(0, -1);
    if (address === before) return address;
  }
}
