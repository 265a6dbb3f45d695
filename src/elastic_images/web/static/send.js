// One upload through the REST API: progress, and messages for failures.

import { root } from "../ui/page.js";
import { quoteKey } from "./keys.js";

const MESSAGES = {
  0: "The connection was lost during the upload.",
  401: "You’ve been logged out. Log in again, then retry.",
  411: "A proxy removed the Content-Length header.",
  413: "File is too large.",
  415: "Unsupported format. Use JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF or BMP.",
  429: "Too many requests. Try again in a moment.",
  503: "The server is busy. Try again in a moment.",
  507: "The server is out of storage space.",
};

/** `message` is shown to people; `status` is 0 if there was no response; `slug` tells kinds of errors apart. */
export class UploadError extends Error {
  constructor(status, { detail, type } = {}) {
    super(MESSAGES[status] ?? detail ?? `Upload failed (${status}).`);
    this.status = status;
    this.slug = type?.split(/[/:]/).pop();
  }
}

/**
 * Upload `file` as `key`. `condition` is a header name and value that guards against replacing an unseen image; without
 * a `visibility`, a new image gets the default and a replaced one keeps its own.
 * Returns `{ done, abort }`: `done` resolves to the metadata, or rejects with an UploadError or AbortError.
 */
export function send(file, key, { condition, visibility, formToken, onProgress, onSent }) {
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
      else reject(new UploadError(request.status, answer));
    });
  });
  request.open("PUT", `${root}/api/images/${quoteKey(key)}`);
  request.responseType = "json";
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader(...condition);
  if (visibility) request.setRequestHeader("X-Visibility", visibility);
  if (formToken) request.setRequestHeader("X-Form-Token", formToken);
  request.send(file);
  return { done, abort: () => request.abort() };
}

/** Metadata of the image at `key`, or null if there is none. */
export async function metadata(key) {
  const answer = await fetch(`${root}/api/images/${quoteKey(key)}`, { headers: { Accept: "application/json" } }).catch(() => {
    throw new UploadError(0);
  });
  if (answer.status === 404) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new UploadError(answer.status, body);
  return body;
}
