/**
 * Requests for pictures, in OpenAI's words and in Stable Diffusion's, and the pictures in their answers. PURE.
 */

/** @typedef {"openai" | "sdapi"} PictureApi */
/** @typedef {{ path: string, multiplier: number }} Lora */
/**
 * @typedef {object} PictureWish
 * @property {string} model
 * @property {string} prompt
 * @property {string} size "512x512"
 * @property {string} negative
 * @property {number | null} steps null, here and below: the server's own default
 * @property {number | null} cfg
 * @property {number | null} seed -1: a new one for each picture
 * @property {number | null} batch
 * @property {string} sampler empty: the server's own default
 * @property {string} scheduler
 * @property {Lora[]} loras
 */
/**
 * @typedef {object} Picture
 * @property {string} source a `data:` URL; empty: it is only linked to
 * @property {string} link empty: it is here
 * @property {string} revised the prompt, as the server has rewritten it
 */

/** Square ones, wide ones, tall ones. */
export const SIZES = [
  { label: "Square", sizes: ["512x512", "1024x1024"] },
  { label: "Landscape", sizes: ["1024x768", "1280x720", "1792x1024"] },
  { label: "Portrait", sizes: ["768x1024", "720x1280", "1024x1792"] },
];

/** As stable-diffusion.cpp calls them. */
export const SAMPLERS = [
  "euler", "euler_a", "heun", "dpm2", "dpm++2s_a", "dpm++2m", "dpm++2mv2", "ipndm", "ipndm_v", "lcm", "ddim_trailing",
  "tcd", "res_multistep", "res_2s",
];

export const SCHEDULERS = [
  "discrete", "karras", "exponential", "ays", "gits", "sgm_uniform", "simple", "smoothstep", "kl_optimal", "lcm",
];

export const MOST_AT_ONCE = 8;

/**
 * @param {PictureApi} api
 * @param {PictureWish} wish
 * @returns {{ path: string, body: Record<string, unknown> }}
 */
export function pictureRequest(api, wish) {
  const { model, prompt, size } = wish;
  if (api === "openai") return { path: "/v1/images/generations", body: { model, prompt, n: 1, size } };
  const [width, height] = dimensions(size);
  const body = {
    model,
    prompt,
    negative_prompt: wish.negative || undefined,
    width,
    height,
    steps: wish.steps ?? undefined,
    cfg_scale: wish.cfg ?? undefined,
    seed: wish.seed ?? undefined,
    batch_size: wish.batch ?? undefined,
    sampler_name: wish.sampler || undefined,
    scheduler: wish.scheduler || undefined,
    lora: wish.loras.length ? wish.loras.map(({ path, multiplier }) => ({ path, multiplier })) : undefined,
  };
  const chosen = Object.entries(body).filter(([, value]) => value !== undefined);
  return { path: "/sdapi/v1/txt2img", body: Object.fromEntries(chosen) };
}

/**
 * @param {string} size
 * @returns {[number, number]} width and height
 */
export function dimensions(size) {
  const [width, height] = size.split("x").map(Number);
  return [width || 512, height || 512];
}

/**
 * Returns the pictures in an answer of either API; other members are none of our business.
 *
 * @param {unknown} document
 * @returns {Picture[]}
 */
export function picturesIn(document) {
  if (!isObject(document)) return [];
  const found = [
    ...(Array.isArray(document.data) ? document.data : []),
    ...(Array.isArray(document.images) ? document.images : []),
  ];
  return found.flatMap((each) => {
    if (typeof each === "string") return pictureOf(each, "");
    if (!isObject(each)) return [];
    const revised = typeof each.revised_prompt === "string" ? each.revised_prompt : "";
    if (typeof each.b64_json === "string") return pictureOf(each.b64_json, revised);
    return typeof each.url === "string" ? pictureOf(each.url, revised) : [];
  });
}

/**
 * Only pictures that came with the answer are shown: the page never fetches anything from elsewhere, but may link to it.
 *
 * @param {string} text base64, a `data:` URL, or the address of a picture
 * @param {string} revised
 * @returns {Picture[]}
 */
function pictureOf(text, revised) {
  if (/^https?:\/\//i.test(text)) return [{ source: "", link: text, revised }];
  if (/^data:image\/[\w.+-]+;base64,/i.test(text)) return [{ source: text, link: "", revised }];
  if (!/^[\w+/=\s-]+$/.test(text)) return [];
  const base64 = text.replace(/\s+/g, "").replaceAll("-", "+").replaceAll("_", "/");
  return [{ source: `data:${typeOf(base64)};base64,${base64}`, link: "", revised }];
}

/**
 * @param {string} base64
 * @returns {string} the media type its first bytes tell of
 */
export function typeOf(base64) {
  if (base64.startsWith("/9j/")) return "image/jpeg";
  if (base64.startsWith("UklGR")) return "image/webp";
  if (base64.startsWith("R0lGOD")) return "image/gif";
  return "image/png";
}

/**
 * @param {string} prompt
 * @param {number} index from 0
 * @param {string} source
 * @returns {string} a name for the file
 */
export function fileName(prompt, index, source) {
  const type = /^data:image\/(\w+)/.exec(source)?.[1] ?? "png";
  return `${fileWords(prompt) || "picture"}-${index + 1}.${type === "jpeg" ? "jpg" : type}`;
}

/**
 * @param {string} text
 * @returns {string} its first words, of letters and figures that any system takes in the name of a file; may be empty
 */
export function fileWords(text) {
  const words = text.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+/, "");
  return words.slice(0, 48).replace(/-+$/, "");
}

/**
 * @param {unknown} document the answer of `/sdapi/v1/loras`
 * @returns {{ name: string, path: string }[]} without what cannot be named in a request
 */
export function lorasIn(document) {
  const list = Array.isArray(document) ? document : isObject(document) && Array.isArray(document.loras) ? document.loras : [];
  return list.flatMap((each) => {
    if (typeof each === "string") return [{ name: each, path: each }];
    if (!isObject(each)) return [];
    const path = typeof each.path === "string" && each.path ? each.path : each.name;
    if (typeof path !== "string" || !path) return [];
    return [{ name: typeof each.name === "string" && each.name ? each.name : path, path }];
  });
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
