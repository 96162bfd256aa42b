const TRIED = "hostler.reloaded-for";

/**
 * A module that is gone may mean that Hostler was updated under an open page: its assets have another address now. Then
 * the page is loaded anew, once for each such address, so that a fault on the server cannot make it loop.
 *
 * @returns {Promise<boolean>} whether the page is being reloaded
 */
export async function reloadIfUpdated() {
  try {
    const page = await (await fetch("/ui/", { cache: "no-store" })).text();
    const served = new DOMParser().parseFromString(page, "text/html").querySelector('script[type="module"]');
    const address = served?.getAttribute("src");
    const own = new URL("../main.js", import.meta.url).pathname;
    if (!address || address === own || sessionStorage.getItem(TRIED) === address) return false;
    sessionStorage.setItem(TRIED, address);
    location.reload();
    return true;
  } catch {
    // Not reachable, or no storage to remember the try by: the reader may decide.
    return false;
  }
}
