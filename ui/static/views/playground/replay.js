/**
 * A captured request, put into the chat: everything but the last question is there already, and that one waits to be
 * sent.
 */

import { conversationOf } from "../../lib/chat-replay.js";
import { navigate } from "../../state/router.js";
import { toast } from "../../state/toasts.js";
import { borrow } from "./chat-settings.js";
import { draft, draftPictures, model, replace } from "./chat-state.js";

/** @typedef {import("../../types.js").Capture} Capture */

/**
 * Puts *capture* into the chat, and goes there.
 *
 * @param {Capture} capture
 * @returns {boolean} whether that was possible: it is not with what is no chat, or was cut. The reason has been told
 */
export function replay(capture) {
  const replayed = conversationOf(capture);
  if ("reason" in replayed) {
    toast(replayed.reason, { tone: "bad" });
    return false;
  }
  const { turns, question, settings } = replayed;
  model.value = replayed.model;
  borrow(settings);
  replace(turns);
  draft.value = question.text;
  draftPictures.value = question.pictures;
  navigate("/playground/chat");
  return true;
}
