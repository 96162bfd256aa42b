/** Pictures that models have painted: small in a grid, whole on a click, and to keep. */

import { html, useState } from "../../html.js";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Icon } from "../../components/icon.js";
import { plain } from "../../lib/bidi.js";
import { duration } from "../../lib/format.js";
import { fileName } from "../../lib/images.js";

/** @typedef {import("./images-state.js").Batch} Batch */
/** @typedef {import("../../lib/images.js").Picture} Picture */

/** @param {{ batch: Batch }} props */
export function PictureGrid({ batch }) {
  const [whole, setWhole] = useState(-1);
  const { pictures, prompt, model, tookMs } = batch;
  const shown = pictures[whole];
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) setWhole((whole + step + pictures.length) % pictures.length);
  };
  return html`
    <article class="picture-batch" aria-label=${plain(prompt)}>
      <header class="picture-head">
        <p class="picture-prompt" title=${prompt}>${prompt}</p>
        <p class="faint small-text">${plain(model)} · ${duration(tookMs)}</p>
      </header>
      <ul class="picture-grid">
        ${pictures.map(
          (picture, index) => html`
            <li key=${index}><${OnePicture} ...${{ picture, prompt, index }} onOpen=${() => setWhole(index)} /></li>
          `,
        )}
      </ul>
      <${Dialog}
        open=${shown !== undefined}
        onClose=${() => setWhole(-1)}
        title=${pictures.length > 1 ? `Picture ${whole + 1} of ${pictures.length}` : "Picture"}
        size="full"
        class="picture-whole"
        footer=${shown &&
        html`
          ${pictures.length > 1 &&
          html`
            <${Button}
              icon="chevron-left"
              onClick=${() => setWhole((whole - 1 + pictures.length) % pictures.length)}
            >
              Previous
            <//>
          `}
          ${pictures.length > 1 &&
          html`
            <${Button} icon="chevron-right" onClick=${() => setWhole((whole + 1) % pictures.length)}>Next<//>
          `}
          <${Download} ...${{ picture: shown, prompt, index: whole }} />
        `}
      >
        <${Stage} picture=${shown} prompt=${prompt} onKeyDown=${pressed} />
      <//>
    </article>
  `;
}

/** @param {{ picture: Picture | undefined, prompt: string, onKeyDown: (event: KeyboardEvent) => void }} props */
function Stage({ picture, prompt, onKeyDown }) {
  return html`
    <div
      class="picture-stage"
      autofocus
      onKeyDown=${onKeyDown}
      tabindex="0"
      role="group"
      aria-label="The picture; arrow keys show the others"
    >
      <img src=${picture?.source} alt=${plain(prompt)} />
    </div>
  `;
}

/** @param {{ picture: Picture, prompt: string, index: number, onOpen: () => void }} props */
function OnePicture({ picture, prompt, index, onOpen }) {
  const [isBroken, setBroken] = useState(false);
  if (picture.link) {
    return html`
      <p class="picture-link">
        <${Icon} name="external" />
        <span>The server keeps this picture at <a href=${picture.link} target="_blank" rel="noreferrer noopener">${plain(picture.link)}</a></span>
      </p>
    `;
  }
  return html`
    ${isBroken
      ? html`<p class="picture-broken"><${Icon} name="image" class="large" />The browser cannot show what came.</p>`
      : html`
          <button type="button" class="picture-open" title="Show it whole" onClick=${onOpen}>
            <img
              src=${picture.source}
              alt=${`${plain(prompt)}, picture ${index + 1}`}
              onError=${() => setBroken(true)}
            />
          </button>
        `}
    <div class="picture-actions"><${Download} ...${{ picture, prompt, index }} /></div>
    ${picture.revised && html`<p class="field-hint" title=${picture.revised}>Painted as: ${picture.revised}</p>`}
  `;
}

/** @param {{ picture: Picture, prompt: string, index: number }} props */
function Download({ picture, prompt, index }) {
  return html`
    <a class="button plain" href=${picture.source} download=${fileName(prompt, index, picture.source)}>
      <${Icon} name="download" />Download<span class="unseen"> picture ${index + 1}</span>
    </a>
  `;
}
