// The upload panel: one row per file, and a summary. `startUploads` returns `take(files, folder)`.

import { all, root, toast } from "../ui/page.js";
import { keyFor, quoteKey } from "./keys.js";
import { OPEN, Queue, UNDER_WAY } from "./queue.js";
import { metadata, send } from "./send.js";

const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

function shownSize(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 999_950 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const STATES = {
  waiting: () => "Waiting",
  sending: (item) => `Uploading, ${Math.floor(item.part * 100)}%`,
  storing: () => "Processing",
  stored: () => "Uploaded",
  failed: (item) => item.message,
  cancelled: () => "Cancelled",
  skipped: () => "Skipped; the existing image is unchanged",
};

const mayRetry = (item) => item.state === "cancelled" || (item.state === "failed" && !item.final);

class Panel {
  constructor(element, onStored) {
    this.element = element;
    this.onStored = onStored;
    this.rows = new Map();
    this.stored = 0;
    const { maxBytes, maxSize, me, formToken } = element.dataset;
    this.me = me || null;
    this.isAdmin = "admin" in element.dataset;
    this.queue = new Queue({
      send: (file, key, more) => send(file, key, { formToken, ...more }),
      metadata,
      maxBytes: Number(maxBytes),
      maxSize,
      changed: (item) => this.#show(item),
      idle: () => this.#idle(),
    });
    element.addEventListener("click", (event) => this.#clicked(event));
    addEventListener("beforeunload", (event) => this.queue.count(...UNDER_WAY) && event.preventDefault());
  }

  take(files, folder, visibility) {
    if (!files.length) return toast("None of these files is an image.", "bad");
    for (const { file, path } of files) this.queue.add(file, keyFor(path, folder), visibility);
    this.element.hidden = false;
    this.element.scrollIntoView({ block: "nearest" });
  }

  mayReplace(item) {
    return this.isAdmin || item.existing?.owner === this.me;
  }

  #clicked(event) {
    const button = event.target.closest("[data-do], [data-all]");
    if (!button) return;
    if (button.dataset.all) return this.#forAll(button.dataset.all);
    const row = button.closest(".upload");
    const item = this.queue.items.find((one) => this.rows.get(one) === row);
    this.queue[button.dataset.do](item);
    // The button may have disappeared; keep the keyboard focus on its row.
    if (!row.contains(document.activeElement) || button.checkVisibility?.() === false) row.focus();
  }

  #forAll(what) {
    const { items } = this.queue;
    const open = (state) => items.filter((item) => item.state === state);
    if (what === "retry") open("failed").filter(mayRetry).forEach((item) => this.queue.retry(item));
    if (what === "replace") open("exists").filter((item) => this.mayReplace(item)).forEach((item) => this.queue.replace(item));
    if (what === "skip") open("exists").forEach((item) => this.queue.skip(item));
    // Last first; otherwise each cancelled upload would let the next one start.
    if (what === "cancel") items.filter((item) => UNDER_WAY.includes(item.state)).reverse().forEach((item) => this.queue.cancel(item));
    if (what === "clear") this.#clear();
  }

  #clear() {
    this.queue.clear();
    for (const [item, row] of this.rows) {
      if (this.queue.items.includes(item)) continue;
      row.remove();
      this.rows.delete(item);
    }
    this.element.hidden = !this.rows.size;
  }

  #row(item) {
    const template = document.getElementById("upload-row");
    const row = template.content.firstElementChild.cloneNode(true);
    row.querySelector("[data-size]").textContent = shownSize(item.file.size);
    this.element.querySelector(".upload-list").append(row);
    this.rows.set(item, row);
    if (item.file.type.startsWith("image/")) showPicture(row.querySelector(".upload-picture"), item.file);
    return row;
  }

  #show(item) {
    const row = this.rows.get(item) ?? this.#row(item);
    const { state } = item;
    row.dataset.state = state;
    row.querySelector("[data-key]").textContent = item.key;
    row.querySelector("[data-words]").textContent = state === "exists" ? this.#question(item) : STATES[state](item);
    const bar = row.querySelector("[data-bar]");
    bar.hidden = !UNDER_WAY.includes(state);
    bar.setAttribute("aria-label", `Upload of ${item.key}`);
    if (state === "storing") bar.removeAttribute("value");
    else bar.value = item.part;
    row.querySelector("[data-login]").hidden = !(state === "failed" && item.status === 401);
    row.querySelector("[data-do=retry]").hidden = !mayRetry(item);
    const cancel = row.querySelector("[data-do=cancel]");
    cancel.hidden = !UNDER_WAY.includes(state);
    cancel.setAttribute("aria-label", `Cancel ${item.key}`);
    const open = row.querySelector("[data-open]");
    open.hidden = state !== "stored";
    if (state === "stored") open.href = `${root}/view/${quoteKey(item.key)}`;
    open.setAttribute("aria-label", `Open ${item.key}`);
    this.#showQuestion(item, row);
    this.#summarise();
  }

  #question(item) {
    if (!item.existing) return "This name is taken:";
    const { visibility, owner } = item.existing;
    const kind = visibility === "public" ? "An" : `A ${visibility === "members" ? "members-only" : visibility}`;
    if (this.mayReplace(item)) return `${kind} image with this name already exists:`;
    return `${kind} image with this name already exists and belongs to ${owner ?? "no one"}:`;
  }

  #showQuestion(item, row) {
    const question = row.querySelector("[data-question]");
    question.hidden = item.state !== "exists";
    if (question.hidden) return;
    const old = row.querySelector("[data-old]");
    old.parentElement.hidden = !item.existing;
    if (item.existing) old.src = `${root}/images/${quoteKey(item.key)}?rendition=thumb`;
    row.querySelector("[data-do=replace]").hidden = !this.mayReplace(item);
    row.querySelector("[data-do=replace]").setAttribute("aria-label", `Replace ${item.key}`);
    row.querySelector("[data-do=rename]").setAttribute("aria-label", `Keep both: ${item.key}`);
    row.querySelector("[data-do=skip]").setAttribute("aria-label", `Skip ${item.key}`);
  }

  #summarise() {
    if (this.summarising) return;
    // One update per frame, so that screen readers do not announce every file.
    this.summarising = requestAnimationFrame(() => {
      this.summarising = 0;
      const { queue } = this;
      const [stored, failed, asking] = ["stored", "failed", "exists"].map((state) => queue.count(state));
      const parts = [`${stored.toLocaleString("en")} of ${plural(queue.items.length, "file")} uploaded`];
      if (failed) parts.push(`${failed} failed`);
      if (asking) parts.push(asking === 1 ? "1 needs your decision" : `${asking.toLocaleString("en")} need your decision`);
      const words = `${parts.join(", ")}.`;
      const summary = this.element.querySelector("[data-summary]");
      if (summary.textContent !== words) summary.textContent = words;
      const total = this.element.querySelector("[data-total]");
      total.value = queue.items.reduce((sum, item) => sum + (OPEN.includes(item.state) ? item.part * 0.99 : 1), 0) / (queue.items.length || 1);
      total.hidden = !queue.count(...UNDER_WAY);
      const replaceable = queue.items.filter((item) => item.state === "exists" && this.mayReplace(item)).length;
      const retriable = queue.items.filter((item) => item.state === "failed" && mayRetry(item)).length;
      this.#offer({ retry: retriable > 1, replace: replaceable > 1, skip: asking > 1, cancel: queue.count(...UNDER_WAY) > 1, clear: !queue.count(...OPEN) });
    });
  }

  #offer(which) {
    for (const button of all("[data-all]", this.element)) button.hidden = !which[button.dataset.all];
  }

  #idle() {
    const stored = this.queue.count("stored");
    if (stored > this.stored) this.onStored?.();
    this.stored = stored;
  }
}

function showPicture(place, file) {
  const address = URL.createObjectURL(file);
  const picture = document.createElement("img");
  picture.alt = "";
  picture.decoding = "async";
  picture.loading = "lazy";
  // Formats the browser cannot show keep the icon.
  picture.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
  picture.addEventListener("error", () => picture.replaceWith(icon), { once: true });
  const icon = place.firstElementChild;
  picture.src = address;
  icon.replaceWith(picture);
}

/** Start the panel and return `take(files, folder, visibility)`. `onStored` is called when the queue is idle after new uploads. */
export function startUploads(onStored) {
  const panel = new Panel(document.getElementById("uploads"), onStored);
  return (files, folder, visibility) => panel.take(files, folder, visibility);
}
