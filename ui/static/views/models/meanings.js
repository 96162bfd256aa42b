/** @file Names that stand for models: the profiles with their pins, and the selectors. */

import { html } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Icon } from "../../components/icon.js";
import { ModelLink } from "../../components/link.js";
import { Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { displayName, natural } from "../../lib/names.js";
import { chooseProfile } from "../../state/actions.js";
import { connection, profile, profiles, selectors } from "../../state/store.js";

/** @typedef {import("../../types.js").Profile} Profile */
/** @typedef {import("../../types.js").Selector} Selector */

/** Nothing where none is configured. */
export function ProfilesCard() {
  if (profiles.value.length === 0) return null;
  const actions = profile.value !== null && html`<${Button} kind="quiet" disabled=${connection.value !== "open"}
    onClick=${() => chooseProfile(null)}>Use none<//>`;
  return html`
    <${Card} title="Profiles" flush actions=${actions}>
      <ul class="models-meanings">
        ${profiles.value.map((each) => html`<${ProfileItem} key=${each.id} its=${each}
          isActive=${each.id === profile.value} />`)}
      </ul>
    <//>
  `;
}

/** @param {{its: Profile, isActive: boolean}} props */
function ProfileItem({ its, isActive }) {
  const pins = Object.entries(its.pins).sort(([a], [b]) => natural(a, b));
  return html`
    <li class=${isActive ? "active" : ""}>
      <div class="spread">
        <span class="models-title"><b>${plain(its.id)}</b>${isActive && html`<${Tag} tone="good">active<//>`}</span>
        ${!isActive && html`<${Button} kind="quiet" disabled=${connection.value !== "open"}
          aria-label=${`Use the profile ${plain(its.id)}`} onClick=${() => chooseProfile(its.id)}>Use<//>`}
      </div>
      ${its.description && html`<p class="soft small-text">${plain(its.description)}</p>`}
      <ul class="models-pins">
        ${pins.map(
          ([name, target]) => html`
            <li key=${name}>
              <span class="mono">${plain(name)}</span><span class="faint" aria-hidden="true">→</span><span
                class="unseen"> means </span>
              ${target ? html`<${ModelLink} id=${target} />` : html`<${Tag} tone="bad"
                title="Requests for this name are answered with 404">disabled<//>`}
            </li>
          `,
        )}
      </ul>
    </li>
  `;
}

const STRATEGIES = /** @type {Record<string, string>} */ ({
  pin: "always the first target",
  warm: "the first target that is ready, else that is starting, else the first",
  spillover: "the least busy target in use; one more when all of them are full",
});

/** Nothing where none is configured. */
export function SelectorsCard() {
  if (selectors.value.length === 0) return null;
  return html`
    <${Card} title="Selectors" flush>
      <ul class="models-meanings">${selectors.value.map((each) => html`<${SelectorItem} key=${each.id}
        its=${each} />`)}</ul>
    <//>
  `;
}

/** @param {{its: Selector}} props */
function SelectorItem({ its }) {
  const name = plain(displayName(its));
  return html`
    <li>
      <span class="models-title">
        <b>${plain(its.id)}</b>${name !== plain(its.id) && html`<span>${name}</span>`}
        <${Tag} tone="info" title=${STRATEGIES[its.strategy]}>${plain(its.strategy)}<//>
        ${its.spillover !== undefined && html`<${Tag}
          title="Requests that each target serves before the next one is used">spills over at ${its.spillover}<//>`}
      </span>
      ${its.description && html`<p class="soft small-text">${plain(its.description)}</p>`}
      <p class="models-targets"><${Icon} name="chevron-right"
        class="small" />${its.targets.map((target) => html`<${ModelLink} key=${target} id=${target} />`)}</p>
    </li>
  `;
}
