// The gallery: search while one types, more below, files dropped and pasted onto it.

import { showTimes, toast } from "../ui/page.js";
import { takeDrops, takePastes } from "./files.js";
import { startUploads } from "./uploads.js";

const TYPING_MS = 200;
const MOST_PAGES = 20;
const results = () => document.getElementById("results");

let asked = null;

/** The results of another address of this page, or null where a newer question overtook this one. */
async function fetchResults(address) {
  asked?.abort();
  const mine = (asked = new AbortController());
  results().setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("results");
    if (!answer.ok || !found) throw new Error(page.querySelector("main p")?.textContent.trim());
    return found;
  } catch (error) {
    if (error.name === "AbortError") return null;
    toast(error instanceof TypeError ? "The server cannot be reached." : error.message || "That did not work.", "bad");
    return null;
  } finally {
    if (asked === mine) results().removeAttribute("aria-busy");
  }
}

async function show(address) {
  const found = await fetchResults(address);
  if (!found) return false;
  results().replaceWith(document.adoptNode(found));
  showTimes(results());
  linkUpload();
  return true;
}

// ---- search

function startSearch() {
  const form = document.getElementById("search");
  let timer = 0;
  const search = async () => {
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) if (!value) query.delete(name);
    if (query.has("prefix")) query.delete("order");
    const address = query.size ? `/?${query}` : "/";
    if (await show(address)) history.replaceState(null, "", address);
  };
  form.elements.prefix.addEventListener("input", (event) => {
    if (event.isComposing) return;
    clearTimeout(timer);
    timer = setTimeout(search, TYPING_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    search();
  });
}

// ---- more

async function more(link) {
  link.setAttribute("aria-disabled", "true");
  const found = await fetchResults(link.href);
  link.removeAttribute("aria-disabled");
  if (!found) return;
  const gallery = document.getElementById("gallery");
  const tiles = [...found.querySelectorAll(".tile")];
  gallery.append(...tiles);
  const next = found.querySelector("[data-more]");
  if (next) link.href = next.getAttribute("href");
  else link.remove();
  const count = document.querySelectorAll(".tile").length.toLocaleString("en");
  const status = results().querySelector("[role=status]");
  // Of all images the number is known; of those with a prefix it grows.
  if (new URL(location).searchParams.has("prefix")) status.textContent = `${count}${next ? " or more" : ""} images, sorted by key`;
  // Whoever uses the keyboard goes on with the first that is new.
  tiles[0]?.querySelector("a").focus({ preventScroll: true });
  rememberPages();
}

// A reload, and coming back from an image, show as much as there was.
function rememberPages() {
  const here = new URL(location);
  if (here.searchParams.has("cursor")) return;
  const pages = Number(here.searchParams.get("pages") ?? 1) + 1;
  if (pages > MOST_PAGES) return;
  here.searchParams.set("pages", pages);
  history.replaceState(null, "", here);
}

addEventListener("click", (event) => {
  const link = event.target.closest("[data-more]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.getAttribute("aria-disabled") !== "true") more(link);
});

// ---- pictures that do not come

const broken = (picture) => picture.closest(".tile-picture")?.classList.add("broken");
addEventListener("error", (event) => event.target instanceof HTMLImageElement && broken(event.target), true);
for (const picture of document.querySelectorAll(".tile-picture img")) {
  if (picture.complete && picture.currentSrc && !picture.naturalWidth) broken(picture);
}

// ---- upload

const folder = () => results().dataset.folder;

/** The upload page begins with the folder that one looks at. */
function linkUpload() {
  const link = document.querySelector("[data-upload-link]");
  if (link) link.href = folder() ? `/upload?${new URLSearchParams({ folder: folder() })}` : "/upload";
}

startSearch();
linkUpload();
if (document.getElementById("uploads")) {
  const take = startUploads(() => show(location.href));
  const takeAll = (files) => take(files, folder());
  takeDrops(takeAll, folder);
  takePastes(takeAll);
}
