// A picture (base64) with at most 256 colours: [width, height, colours as numbers, the number of each pixel's as base64].
async (picture) => {
  const bytes = Uint8Array.from(atob(picture), (char) => char.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = bitmap;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(bitmap, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  const pixels = new Uint32Array(width * height);
  const counts = new Map();
  for (let at = 0; at < pixels.length; at += 1) {
    const colour = (data[at * 4] << 16) | (data[at * 4 + 1] << 8) | data[at * 4 + 2];
    pixels[at] = colour;
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  // Those that are seen most, and those that are unlike them; any other is shown as the one that is nearest to it.
  const all = [...counts].sort((one, other) => other[1] - one[1]).map(([colour, count]) => ({ colour, count, off: Infinity }));
  const kept = [];
  const keep = ({ colour }) => {
    kept.push(colour);
    for (const each of all) each.off = Math.min(each.off, apart(each.colour, colour));
  };
  const apart = (one, other) => [16, 8, 0].reduce((sum, shift) => sum + (((one >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  for (const each of all.slice(0, 128)) keep(each);
  while (kept.length < Math.min(256, all.length)) keep(all.reduce((best, each) => (each.off * each.count > best.off * best.count ? each : best)));
  const numbers = new Map(kept.map((colour, number) => [colour, number]));
  const nearest = (colour) => {
    let best = 0;
    for (let number = 1; number < kept.length; number += 1) if (apart(kept[number], colour) < apart(kept[best], colour)) best = number;
    return best;
  };
  let indexes = "";
  for (const colour of pixels) {
    if (!numbers.has(colour)) numbers.set(colour, nearest(colour));
    indexes += String.fromCharCode(numbers.get(colour));
  }
  return [width, height, kept, btoa(indexes)];
}
