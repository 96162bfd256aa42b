/** @type {Map<string, Promise<void>>} */
const asked = new Map();

/**
 * Loads styles/<name>.css once, and waits for it, so that a view never shows itself before it is dressed. A sheet that
 * cannot be had is no reason to withhold the view.
 *
 * @param {string} name
 * @returns {Promise<void>}
 */
export function stylesheet(name) {
  const earlier = asked.get(name);
  if (earlier) return earlier;
  const loaded = new Promise((/** @type {(value: void) => void} */ resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = new URL(`./styles/${name}.css`, import.meta.url).href;
    link.onload = () => resolve();
    link.onerror = () => resolve();
    document.head.append(link);
  });
  asked.set(name, loaded);
  return loaded;
}
