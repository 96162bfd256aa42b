/** On a phone what comes of a request is below the form: it is brought into sight when there is something new. */

/** So much of it must be seen for it not to be missed, in pixels. */
const GLIMPSE = 120;

export function revealResults() {
  requestAnimationFrame(() => {
    const results = document.querySelector(".tool-results");
    if (!results || results.getBoundingClientRect().top <= innerHeight - GLIMPSE) return;
    results.scrollIntoView({ behavior: "smooth" });
  });
}
