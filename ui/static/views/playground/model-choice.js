/** Which model a tab asks: what a link names, what was chosen the last time, or the first that says it can do it. */

import { useEffect } from "../../html.js";
import { offered } from "../../components/model-picker.js";
import { firstChoice } from "../../lib/picker.js";
import { route, setQueryParam } from "../../state/router.js";
import { known } from "../../state/store.js";

/**
 * @param {import("../../html.js").Signal<string>} model
 * @param {import("../../types.js").Ability} [ability]
 */
export function useModelChoice(model, ability) {
  const asked = route.value.query.model;
  useEffect(() => {
    if (!asked) return;
    model.value = asked;
    setQueryParam("model", null);
  }, [asked]);
  useEffect(() => {
    if (!model.value && known.value) model.value = firstChoice(offered(ability), ability !== undefined);
  }, [known.value]);
}
