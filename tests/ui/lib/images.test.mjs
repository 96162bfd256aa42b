import assert from "node:assert/strict";
import { test } from "node:test";

import { dimensions, fileName, lorasIn, pictureRequest, picturesIn, SIZES, typeOf } from "../../../ui/static/lib/images.js";

const wish = {
  model: "sd", prompt: "a cat", size: "1024x768", negative: "", steps: 20, cfg: 7, seed: -1, batch: 1, sampler: "", scheduler: "",
  loras: [],
};

test("in OpenAI's words a wish is a prompt and a size", () => {
  assert.deepEqual(pictureRequest("openai", wish), {
    path: "/v1/images/generations",
    body: { model: "sd", prompt: "a cat", n: 1, size: "1024x768" },
  });
});

test("in Stable Diffusion's words all that is chosen is told, and nothing that is not", () => {
  assert.deepEqual(pictureRequest("sdapi", wish), {
    path: "/sdapi/v1/txt2img",
    body: { model: "sd", prompt: "a cat", width: 1024, height: 768, steps: 20, cfg_scale: 7, seed: -1, batch_size: 1 },
  });
  const more = { ...wish, negative: "dogs", steps: null, sampler: "heun", scheduler: "karras", loras: [{ path: "a.safetensors", multiplier: 0.5, name: "a" }] };
  const { body } = pictureRequest("sdapi", more);

  assert.equal("steps" in body, false);
  assert.equal(body.negative_prompt, "dogs");
  assert.equal(body.sampler_name, "heun");
  assert.equal(body.scheduler, "karras");
  assert.deepEqual(body.lora, [{ path: "a.safetensors", multiplier: 0.5 }]);
});

test("every size offered has two dimensions", () => {
  for (const size of SIZES.flatMap((group) => group.sizes)) {
    assert.equal(dimensions(size).join("x"), size);
  }
  assert.deepEqual(dimensions(""), [512, 512]);
});

test("pictures are found in the answers of both APIs", () => {
  const png = "data:image/png;base64,iVBORw0KGgo=";

  assert.deepEqual(picturesIn({ data: [{ b64_json: "iVBORw0KGgo=", revised_prompt: "a big cat" }] }), [{ source: png, link: "", revised: "a big cat" }]);
  assert.deepEqual(picturesIn({ images: ["iVBORw0K\nGgo=", png] }).map((each) => each.source), [png, png]);
});

test("a picture that is elsewhere is linked to, and nothing but pictures is taken", () => {
  assert.deepEqual(picturesIn({ data: [{ url: "https://example.com/a.png" }] }), [{ source: "", link: "https://example.com/a.png", revised: "" }]);
  assert.deepEqual(picturesIn({ data: [{ url: "javascript:alert(1)" }, { url: "data:text/html;base64,AAAA" }, { url: 1 }, null, 3, {}] }), []);
  assert.deepEqual(picturesIn(null), []);
  assert.deepEqual(picturesIn({ error: "no" }), []);
});

test("a picture's type is told by its first bytes", () => {
  assert.deepEqual(["/9j/4AAQ", "UklGRiQA", "R0lGODlh", "iVBORw0K"].map(typeOf), ["image/jpeg", "image/webp", "image/gif", "image/png"]);
});

test("a file is called by the prompt, in letters any system takes", () => {
  assert.equal(fileName("A cat, on a mat!", 0, "data:image/jpeg;base64,"), "a-cat-on-a-mat-1.jpg");
  assert.equal(fileName("../../etc/passwd", 1, "data:image/png;base64,"), "etc-passwd-2.png");
  assert.equal(fileName("猫", 0, ""), "picture-1.png");
  assert.equal(fileName("x".repeat(100), 0, "").length, "-1.png".length + 48);
});

test("adapters are listed by name and asked for by path", () => {
  assert.deepEqual(lorasIn([{ name: "n", path: "/p" }, { path: "/q" }, { name: "only" }, "text", {}, 1]), [
    { name: "n", path: "/p" },
    { name: "/q", path: "/q" },
    { name: "only", path: "only" },
    { name: "text", path: "text" },
  ]);
  assert.deepEqual(lorasIn({ loras: ["a"] }), [{ name: "a", path: "a" }]);
  assert.deepEqual(lorasIn("nonsense"), []);
});
