/** @file Where to point clients: a first request for each API that they may speak. PURE. */

/** @typedef {{id: string, label: string, base: string, about: string, code: string}} Example */

/** Puts *text* into single quotes for a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {string} url @param {unknown} body @param {string[]} [headers] */
const curl = (url, body, headers = []) =>
  [
    `curl ${url}`,
    ...["content-type: application/json", ...headers].map((header) => `  -H ${quoted(header)}`),
    `  -d ${quoted(JSON.stringify(body))}`,
  ].join(" \\\n");

/** @param {string} origin @param {string} model @returns {Example[]} */
export function examples(origin, model) {
  const messages = [{ role: "user", content: "Hello" }];
  return [
    {
      id: "chat",
      label: "OpenAI",
      base: `${origin}/v1`,
      about: "OPENAI_BASE_URL of OpenAI's libraries and of most clients",
      code: curl(`${origin}/v1/chat/completions`, { model, messages }),
    },
    {
      id: "responses",
      label: "OpenAI Responses",
      base: `${origin}/v1`,
      about: "the newer API of OpenAI's libraries and agents",
      code: curl(`${origin}/v1/responses`, { model, input: "Hello" }),
    },
    {
      id: "messages",
      label: "Anthropic",
      base: origin,
      about: "ANTHROPIC_BASE_URL of Anthropic's libraries and of Claude Code",
      code: curl(`${origin}/v1/messages`, { model, max_tokens: 256, messages }, ["anthropic-version: 2023-06-01"]),
    },
    {
      id: "python",
      label: "Python",
      base: `${origin}/v1`,
      about: "with pip install openai",
      code: [
        "from openai import OpenAI",
        "",
        `client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key="none")`,
        "answer = client.chat.completions.create(",
        `    model=${JSON.stringify(model)},`,
        '    messages=[{"role": "user", "content": "Hello"}],',
        ")",
        "print(answer.choices[0].message.content)",
      ].join("\n"),
    },
  ];
}
