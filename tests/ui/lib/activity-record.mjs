/** @typedef {import("../../../ui/static/types.js").ActivityRecord} Activity */

/**
 * Returns a record of a request that went well.
 *
 * @param {Partial<Activity>} [some]
 * @param {Partial<Activity["tokens"]>} [tokens]
 * @returns {Activity}
 */
export function record(some, tokens) {
  return {
    id: 1,
    timestamp: "2026-01-02T03:04:05Z",
    model: "llama",
    req_path: "/v1/chat/completions",
    resp_content_type: "text/event-stream",
    resp_status_code: 200,
    tokens: {
      cache_tokens: -1,
      draft_tokens: -1,
      draft_acc_tokens: -1,
      input_tokens: 10,
      output_tokens: 20,
      prompt_per_second: -1,
      tokens_per_second: -1,
      ...tokens,
    },
    duration_ms: 1000,
    has_capture: false,
    method: "POST",
    measured: false,
    streamed: true,
    ttft_ms: -1,
    queued_ms: -1,
    swap_ms: -1,
    stop_reason: "",
    session_id: "",
    key_fingerprint: "",
    client: "127.0.0.1",
    req_bytes: -1,
    resp_bytes: -1,
    ...some,
  };
}

/** Every figure of a request that failed. */
export const NOTHING = Object.freeze({
  cache_tokens: 0,
  draft_tokens: 0,
  draft_acc_tokens: 0,
  input_tokens: 0,
  output_tokens: 0,
  prompt_per_second: 0,
  tokens_per_second: 0,
});
