// Whether the page is as narrow as on a phone, where one thing is shown at a time. The stylesheets have the same width.

/** A MediaQueryList. */
export const narrow = matchMedia("(max-width: 760px)");
