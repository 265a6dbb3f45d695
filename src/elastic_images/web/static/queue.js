// A queue of uploads, a few at a time. Independent of the page: it calls `changed(item)` when an item changes.

import { besideKey, keyProblem } from "./keys.js";

const PARALLEL = 4;
const MOST_COPIES = 100;
export const UNDER_WAY = ["waiting", "sending", "storing"];
export const OPEN = [...UNDER_WAY, "exists"];
const FINAL = [400, 413, 415, 422];

/**
 * An item: `{ file, key, state, part, message, existing }`. States: waiting, sending (`part` 0 to 1), storing, stored,
 * exists (needs a decision; `existing` is the metadata of the existing image, null if it is hidden from us), failed (`message`; `final`: retrying will
 * not help), cancelled, skipped.
 */
export class Queue {
  constructor({ send, metadata, maxBytes, maxSize, changed, idle, parallel = PARALLEL }) {
    Object.assign(this, { send, metadata, maxBytes, maxSize, changed, idle, parallel });
    this.items = [];
    this.running = 0;
  }

  /** `visibility` is that of a new image; an existing one keeps its own. */
  add(file, key, visibility = null) {
    const item = { file, key, visibility, state: "waiting", part: 0, message: "", existing: null, condition: ["If-None-Match", "*"], copies: 1 };
    this.items.push(item);
    this.changed(item);
    queueMicrotask(() => this.#next());
    return item;
  }

  retry(item) {
    this.#set(item, "waiting", { part: 0, message: "" });
    this.#next();
  }

  /** Replace the existing image, if it is still the one that was shown. */
  replace(item) {
    item.renaming = false;
    item.condition = ["If-Match", item.existing.etag];
    this.retry(item);
  }

  /** Keep both, under the next free name. */
  rename(item) {
    item.base ??= item.key;
    item.copies += 1;
    item.key = besideKey(item.base, item.copies);
    item.renaming = true;
    item.condition = ["If-None-Match", "*"];
    this.retry(item);
  }

  cancel(item) {
    if (item.upload) item.upload.abort();
    else this.#end(item, "cancelled");
  }

  skip(item) {
    this.#end(item, "skipped");
  }

  clear() {
    this.items = this.items.filter((item) => OPEN.includes(item.state));
  }

  count(...states) {
    return this.items.filter((item) => states.includes(item.state)).length;
  }

  #next() {
    while (this.running < this.parallel) {
      const item = this.items.find((one) => one.state === "waiting");
      if (!item) return;
      this.#run(item);
    }
  }

  async #run(item) {
    const problem = this.#problem(item);
    if (problem) return this.#end(item, "failed", { message: problem, final: true });
    this.running += 1;
    this.#set(item, "sending", { part: 0, message: "" });
    try {
      item.upload = this.send(item.file, item.key, {
        condition: item.condition,
        visibility: item.condition[0] === "If-None-Match" ? item.visibility : null,
        onProgress: (sent, total) => item.state === "sending" && this.#set(item, "sending", { part: total ? sent / total : 1 }),
        onSent: () => this.#set(item, "storing", { part: 1 }),
      });
      item.stored = await item.upload.done;
      this.#set(item, "stored", { existing: null });
    } catch (error) {
      await this.#failed(item, error);
    } finally {
      item.upload = null;
      this.running -= 1;
      this.#next();
      this.#tellIdle();
    }
  }

  async #failed(item, error) {
    if (error.name === "AbortError") return this.#set(item, "cancelled");
    const fail = ({ message, status }) => this.#set(item, "failed", { message, status, final: FINAL.includes(status) });
    // 403 means it exists and belongs to someone else, who may have hidden it, so look it up first.
    if (error.status !== 412 && error.status !== 403) return fail(error);
    try {
      const existing = await this.metadata(item.key);
      const taken = existing || error.slug === "forbidden";
      if (taken && item.renaming && item.copies < MOST_COPIES) return this.rename(item);
      if (taken) return this.#set(item, "exists", { existing });
      if (error.status === 403) return fail(error);
      // Deleted in the meantime: nothing to decide, so upload it again.
      item.condition = ["If-None-Match", "*"];
      this.#set(item, "waiting", { part: 0 });
    } catch (lookupError) {
      fail(lookupError);
    }
  }

  #problem(item) {
    const { file } = item;
    if (file.type && !file.type.startsWith("image/")) return "Not an image.";
    if (file.size === 0) return "The file is empty.";
    if (file.size > this.maxBytes) return `File is too large (maximum ${this.maxSize}).`;
    return keyProblem(item.key);
  }

  #set(item, state, more = {}) {
    Object.assign(item, more, { state });
    this.changed(item);
  }

  #end(item, state, more) {
    this.#set(item, state, more);
    this.#tellIdle();
  }

  #tellIdle() {
    if (!this.count(...UNDER_WAY)) this.idle();
  }
}
