// One upload over the REST API, with its progress, and words for people where it fails.

import { quoteKey } from "./keys.js";

const WORDS = {
  0: "The connection broke before all of it had arrived.",
  401: "You are logged out. Log in again, then retry.",
  411: "Something between here and the server took the length away.",
  413: "It is too large.",
  415: "Not an image of a kind that is stored here: JPEG, PNG, GIF, WebP, AVIF, TIFF and BMP are.",
  429: "The server asks to wait a moment.",
  503: "The server is busy. Try again in a moment.",
  507: "The server has no room left.",
};

/** `message` is for people; `status` 0 means that no answer came. */
export class UploadError extends Error {
  constructor(status, detail) {
    super(WORDS[status] ?? detail ?? `The server refused it (${status}).`);
    this.status = status;
  }
}

/**
 * Put `file` under `key`. `condition` is a header's name and value, so that nothing is replaced unseen.
 * Gives `{ done, abort }`: `done` is a promise of the metadata; it fails with an UploadError, or with AbortError.
 */
export function send(file, key, { condition, formToken, onProgress, onSent }) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => onProgress?.(event.loaded, event.total));
    request.upload.addEventListener("load", () => onSent?.());
    request.addEventListener("error", () => reject(new UploadError(0)));
    request.addEventListener("timeout", () => reject(new UploadError(0)));
    request.addEventListener("abort", () => reject(new DOMException("Cancelled", "AbortError")));
    request.addEventListener("load", () => {
      const answer = request.response ?? {};
      if (request.status === 200 || request.status === 201) resolve(answer);
      else reject(new UploadError(request.status, answer.detail));
    });
  });
  request.open("PUT", `/api/images/${quoteKey(key)}`);
  request.responseType = "json";
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader(...condition);
  if (formToken) request.setRequestHeader("X-Form-Token", formToken);
  request.send(file);
  return { done, abort: () => request.abort() };
}

/** What is stored under `key`; null where nothing is. */
export async function metadata(key) {
  const answer = await fetch(`/api/images/${quoteKey(key)}`, { headers: { Accept: "application/json" } }).catch(() => {
    throw new UploadError(0);
  });
  if (answer.status === 404) return null;
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new UploadError(answer.status, said.detail);
  return said;
}
