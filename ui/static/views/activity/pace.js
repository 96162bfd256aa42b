/**
 * Returns a function that calls *run* at most once in *periodMs*: at once if it can, else when the time has come.
 * While a call is under way, or nobody looks at the page, the next one waits; many of them are one.
 *
 * @param {() => Promise<void>} run  Must not throw.
 * @param {number} periodMs
 * @returns {{ask: () => void, stop: () => void}}
 */
export function paced(run, periodMs) {
  let isWanted = false;
  let isRunning = false;
  let notBefore = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const look = async () => {
    clearTimeout(timer);
    timer = undefined;
    if (!isWanted || isRunning || document.hidden) return;
    const left = notBefore - performance.now();
    if (left > 0) {
      timer = setTimeout(look, left);
      return;
    }
    isWanted = false;
    isRunning = true;
    notBefore = performance.now() + periodMs;
    await run();
    isRunning = false;
    look();
  };

  document.addEventListener("visibilitychange", look);
  return {
    ask() {
      isWanted = true;
      look();
    },
    stop() {
      isWanted = false;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    },
  };
}
