// Texts that others wrote, made safe to look at: a control character is shown as the picture that Unicode has
// of it, and what turns the direction of writing around as a sign that something was there.

const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]/g;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A text in which every character can be seen and none moves another. */
export function visible(text) {
  return text
    .replace(CONTROL, (char) => {
      const code = char.charCodeAt(0);
      return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\ufffd";
    })
    .replace(BIDI, "\ufffd");
}
