/** The page begins here: it draws the shell, which fetches the view that the address names, and follows the events. */
import { html, render } from "./html.js";
import { Shell } from "./shell/shell.js";
import { keepAppearance } from "./state/appearance.js";
import { connect } from "./state/store.js";
import { keepDocumentTitle } from "./state/title.js";

keepAppearance();
keepDocumentTitle();
connect();
render(html`<${Shell} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
