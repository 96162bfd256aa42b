/** An upload that tells how far it is: fetch cannot. */

import { problemOf } from "../../lib/problem.js";
import { ApiError, UNREACHABLE } from "../../state/api.js";

/** @typedef {import("./task.js").TaskTools} TaskTools */

/**
 * Sends *form*, and returns the answer: JSON, or the text of what is none.
 *
 * @param {string} path
 * @param {FormData} form
 * @param {TaskTools} tools
 * @returns {Promise<any>}
 */
export function upload(path, form, { signal, headers, sent }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    sent(0);
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    request.upload.onload = () => sent(1);
    request.onload = () => {
      const { status, statusText, responseText } = request;
      if (status >= 200 && status < 300) return resolve(parsed(responseText));
      const { message, code } = problemOf(status, statusText, responseText);
      return reject(new ApiError(status, message, code));
    };
    request.onerror = () => reject(new ApiError(0, UNREACHABLE));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.send(form);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
