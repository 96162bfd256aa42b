/**
 * Finding a name among those that lib/names.js offers. PURE.
 */

/** @typedef {import("./names.js").Choice} Choice */
/** @typedef {import("./names.js").ChoiceGroup} ChoiceGroup */

/**
 * Returns the groups with only the choices that have every word of *text* in one of their names.
 *
 * @param {readonly ChoiceGroup[]} groups
 * @param {string} text
 * @returns {ChoiceGroup[]}
 */
export function searchChoices(groups, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  /** @param {Choice} choice */
  const fits = (choice) => {
    const where = `${choice.id} ${choice.label} ${choice.detail}`.toLowerCase();
    return words.every((word) => where.includes(word));
  };
  return groups
    .map((group) => ({ label: group.label, choices: group.choices.filter(fits) }))
    .filter((group) => group.choices.length > 0);
}

/**
 * Returns the choice that *text* most likely means: the one that is called so, else one that begins so, else the first.
 *
 * @param {readonly ChoiceGroup[]} groups what was found for it
 * @param {string} text
 * @returns {Choice | undefined}
 */
export function likeliest(groups, text) {
  const wanted = text.trim().toLowerCase();
  const all = groups.flatMap((group) => group.choices).filter((choice) => !choice.disabled);
  /** @param {(name: string) => boolean} fits */
  const called = (fits) => all.find(({ id, label }) => fits(id.toLowerCase()) || fits(label.toLowerCase()));
  return called((name) => name === wanted) ?? called((name) => name.startsWith(wanted)) ?? all[0];
}

/**
 * Returns the choice of *id*. A name may be offered twice, as a pin hides the model it is called like: the first counts, as it
 * does for a request.
 *
 * @param {readonly ChoiceGroup[]} groups
 * @param {string} id
 * @returns {Choice | undefined}
 */
export function choiceOf(groups, id) {
  return groups.flatMap((group) => group.choices).find((choice) => choice.id === id);
}

/**
 * Returns what to choose where nobody has chosen yet: among the models of this machine one that is ready, else the first.
 *
 * With *able* only models that say they can do what is asked for count: no other is a guess worth making.
 *
 * @param {readonly ChoiceGroup[]} groups
 * @param {boolean} [able]
 * @returns {string} empty: nothing
 */
export function firstChoice(groups, able = false) {
  const wanted = able ? "Matching capabilities" : "Local models";
  const eligible = groups.filter((group) => group.label === wanted).flatMap((group) => group.choices);
  return (eligible.find((choice) => choice.state === "ready") ?? eligible[0])?.id ?? "";
}
