// One image: cache status, arrow keys, and replacing the file.

import { toast } from "../ui/page.js";
import { send } from "./send.js";

// ---- the cache

async function checkCache(link) {
  const place = document.getElementById("cached");
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("cached");
    if (!answer.ok || !found) throw new Error(answer.statusText);
    place.replaceChildren(...found.childNodes);
    link.querySelector("span").textContent = "Check again";
  } catch {
    toast("Can’t check the cache.", "bad");
  }
}

function startCacheCheck() {
  const link = document.getElementById("ask");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    checkCache(link);
  });
  if (!new URL(location).searchParams.has("ask")) checkCache(link);
}

// ---- links to share

function startShare() {
  const form = document.getElementById("share-form");
  form.addEventListener("change", async () => {
    try {
      const answer = await fetch(`${form.action}?${new URLSearchParams(new FormData(form))}`, { headers: { Accept: "text/html" } });
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("share-links");
      if (!answer.ok || !found) throw new Error(answer.statusText);
      document.getElementById("share-links").replaceWith(document.adoptNode(found));
      for (const button of found.querySelectorAll("[data-copy-from]")) button.hidden = false;
    } catch {
      form.submit();
    }
  });
}

// ---- previous and next

addEventListener("keydown", (event) => {
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (!rel || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.target.closest("input, textarea, select, dialog, [contenteditable], [tabindex='0']")) return;
  document.querySelector(`.stage a[rel=${rel}]`)?.click();
});

const picture = document.querySelector(".stage > img");
const broken = () => picture.classList.add("broken");
picture.addEventListener("error", broken);
if (picture.complete && !picture.naturalWidth) broken();

// ---- replace

function startReplacing(form) {
  const { key, etag, maxBytes, maxSize, formToken } = form.dataset;
  const [bar, words, cancel] = ["[data-bar]", "[data-words]", "[data-cancel]"].map((one) => form.querySelector(one));
  const button = form.querySelector("button");
  let upload = null;
  const showSending = (on) => {
    bar.hidden = cancel.hidden = !on;
    button.disabled = on;
  };
  cancel.addEventListener("click", () => upload?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = form.elements.file.files[0];
    words.textContent = file.size > Number(maxBytes) ? `File is too large (maximum ${maxSize}).` : file.size ? "" : "The file is empty.";
    if (words.textContent) return;
    bar.value = 0;
    showSending(true);
    try {
      upload = send(file, key, {
        condition: ["If-Match", etag],
        formToken,
        onProgress: (sent, total) => (bar.value = total ? sent / total : 1),
        onSent: () => bar.removeAttribute("value"),
      });
      await upload.done;
      const here = new URL(location);
      here.searchParams.delete("ask");
      here.searchParams.set("done", "replaced");
      location.assign(here);
    } catch (error) {
      if (error.name !== "AbortError") words.textContent = error.status === 412 ? "Someone else has replaced or deleted this image. Reload the page." : error.message;
      showSending(false);
    }
  });
}

startCacheCheck();
startShare();
const form = document.getElementById("replace");
if (form) startReplacing(form);
