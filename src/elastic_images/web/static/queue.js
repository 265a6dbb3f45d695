// Many uploads, a few at a time. Knows nothing of the page: it calls `changed(item)` whenever an item is another.

import { besideKey, keyTrouble } from "./keys.js";

const PARALLEL = 4;
export const UNDER_WAY = ["waiting", "sending", "storing"];
export const OPEN = [...UNDER_WAY, "exists"];
const FINAL = [400, 413, 415, 422];

/**
 * An item: `{ file, key, state, part, words, existing }`. States: waiting, sending (`part` 0 to 1), storing, stored,
 * exists (somebody must say what to do; `existing` is the metadata of what is there), failed (`words`; `final`: it would
 * fail again), cancelled, skipped.
 */
export class Queue {
  constructor({ send, metadata, maxBytes, maxSize, changed, idle, parallel = PARALLEL }) {
    Object.assign(this, { send, metadata, maxBytes, maxSize, changed, idle, parallel });
    this.items = [];
    this.running = 0;
  }

  add(file, key) {
    const item = { file, key, state: "waiting", part: 0, words: "", existing: null, condition: ["If-None-Match", "*"], copies: 1 };
    this.items.push(item);
    this.changed(item);
    queueMicrotask(() => this.#next());
    return item;
  }

  retry(item) {
    this.#set(item, "waiting", { part: 0, words: "" });
    this.#next();
  }

  /** Replace what is there, if it still is what the person saw. */
  replace(item) {
    item.renaming = false;
    item.condition = ["If-Match", item.existing.etag];
    this.retry(item);
  }

  /** Keep both: under the next name that is free. */
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
    const trouble = this.#trouble(item);
    if (trouble) return this.#end(item, "failed", { words: trouble, final: true });
    this.running += 1;
    this.#set(item, "sending", { part: 0, words: "" });
    try {
      item.upload = this.send(item.file, item.key, {
        condition: item.condition,
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
    const fail = ({ message, status }) => this.#set(item, "failed", { words: message, status, final: FINAL.includes(status) });
    // 403: it is there and somebody else's, which is looked at first.
    if (error.status !== 412 && error.status !== 403) return fail(error);
    try {
      const existing = await this.metadata(item.key);
      if (existing && item.renaming) return this.rename(item);
      if (existing) return this.#set(item, "exists", { existing });
      if (error.status === 403) return fail(error);
      // Deleted since: then there is nothing to ask.
      item.condition = ["If-None-Match", "*"];
      this.#set(item, "waiting", { part: 0 });
    } catch (trouble) {
      fail(trouble);
    }
  }

  #trouble(item) {
    const { file } = item;
    if (file.type && !file.type.startsWith("image/")) return "This is not an image.";
    if (file.size === 0) return "The file is empty.";
    if (file.size > this.maxBytes) return `It is too large: an image has at most ${this.maxSize}.`;
    return keyTrouble(item.key);
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
