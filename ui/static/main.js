/** The page begins here: it draws the shell, which fetches the view that the address names, and follows the events. */
import { effect, html, render } from "./html.js";
import { Shell } from "./shell/shell.js";
import { keepAppearance } from "./state/appearance.js";
import { connect, connection, known } from "./state/store.js";
import { keepDocumentTitle } from "./state/title.js";

keepAppearance();
keepDocumentTitle();
connect();
// For the style sheets, and for whoever watches the page from outside.
effect(() => {
  document.documentElement.dataset.connection = connection.value === "open" && !known.value ? "connecting" : connection.value;
});
render(html`<${Shell} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
