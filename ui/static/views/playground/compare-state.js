/** Two conversations that get the same questions, and what happened to each of the last one's two requests. */

import { batch, computed, effect, signal, untracked } from "../../html.js";
import { before, spoken } from "../../lib/chat-conversation.js";
import { marked } from "../../lib/compare-lanes.js";
import { stored } from "../../state/settings.js";
import { ask } from "./asking.js";
import { chosenParameters, settings } from "./chat-settings.js";
import { newId } from "./chat-state.js";
import { explanation } from "./waiting.js";

/** @typedef {import("../../lib/chat-conversation.js").ChatTurn} ChatTurn */
/** @typedef {import("../../lib/compare-lanes.js").Mark} Mark */
/** @typedef {import("../../lib/compare-lanes.js").Stage} Stage */
/** @typedef {import("../../lib/dialects.js").Picture} Picture */
/** @typedef {import("./asking.js").Asking} Asking */

/** One of the two. */
export class Side {
  turns = signal(/** @type {ChatTurn[]} */ ([]));
  asking = signal(/** @type {Asking | null} */ (null));
  /** Whether it waits for the other's answer. */
  isNext = signal(false);
  marks = signal(/** @type {readonly Mark[]} */ ([]));
  /** When its last answer was complete, from the question on; -1: not yet. */
  endMs = signal(-1);

  /**
   * @param {"a" | "b"} id
   * @param {string} label
   */
  constructor(id, label) {
    this.id = id;
    this.label = label;
    this.model = stored(`playground.compare-model-${id}`, "");
  }
}

/** @type {readonly [Side, Side]} */
export const sides = [new Side("a", "First model"), new Side("b", "Second model")];

export const mode = stored("playground.compare-mode", "once", (value) => value === "once" || value === "turns");
export const draft = signal("");
export const draftPictures = signal(/** @type {Picture[]} */ ([]));

/** When the last question was asked, by the page's clock; -1: never. */
export const askedAt = signal(-1);
export const isBusy = computed(() => sides.some((side) => side.asking.value !== null || side.isNext.value));

/** Asks both what has been written. */
export function send() {
  const text = draft.value.trim();
  const pictures = draftPictures.value;
  if ((!text && !pictures.length) || isBusy.value || sides.some((side) => !side.model.value)) return;
  batch(() => {
    draft.value = "";
    draftPictures.value = [];
    for (const side of sides) side.turns.value = [...side.turns.value, { id: newId(), role: "user", text, pictures }];
  });
  run(sides);
}

/**
 * Asks one of them once more, what it was asked before the turn *id*; without an id, its last question.
 *
 * @param {Side} side
 * @param {string} [id]
 */
export function again(side, id) {
  if (isBusy.value) return;
  if (id) side.turns.value = before(side.turns.value, id);
  run([side]);
}

export function stop() {
  for (const side of sides) {
    side.isNext.value = false;
    side.asking.value?.stop();
  }
}

export function clear() {
  stop();
  for (const side of sides) {
    side.turns.value = [];
    side.marks.value = [];
  }
  askedAt.value = -1;
}

/** @param {readonly Side[]} chosen */
async function run(chosen) {
  batch(() => {
    askedAt.value = performance.now();
    for (const side of sides) {
      side.marks.value = [];
      side.endMs.value = chosen.includes(side) ? -1 : 0;
    }
  });
  if (mode.value === "once") {
    await Promise.all(chosen.map(answer));
    return;
  }
  for (const side of chosen.slice(1)) {
    side.isNext.value = true;
    side.marks.value = [{ stage: "turn", fromMs: 0 }];
  }
  for (const side of chosen) {
    // Stopped while it waited for its turn.
    if (side !== chosen[0] && !side.isNext.value) break;
    side.isNext.value = false;
    await answer(side);
  }
}

/** @param {Side} side */
async function answer(side) {
  const asked = side.turns.value;
  const question = { model: side.model.value, turns: spoken(asked), ...chosenParameters() };
  const current = ask({ dialect: settings.value.dialect, question });
  side.asking.value = current;
  const sentMs = current.sentAt - askedAt.value;
  const stopMarking = effect(() => {
    const stage = stageOf(current);
    if (!stage) return;
    untracked(() => {
      side.marks.value = marked(side.marks.value, stage, performance.now() - askedAt.value, sentMs);
    });
  });
  await current.finished;
  stopMarking();
  batch(() => {
    side.asking.value = null;
    side.endMs.value = performance.now() - askedAt.value;
    // Cleared in the meantime.
    if (side.turns.value !== asked) return;
    side.turns.value = [...asked, { id: current.requestId, role: "assistant", answer: current.answered() }];
  });
}

/**
 * @param {Asking} current
 * @returns {Stage | null}
 */
function stageOf(current) {
  if (current.state.value === "answering") return current.content.value ? "answering" : "thinking";
  if (current.state.value !== "waiting") return null;
  const { stage } = explanation(current);
  // Nothing is known of it yet, or not any more.
  return stage === "sent" || stage === "unknown" ? null : stage;
}
