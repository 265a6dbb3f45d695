// The gallery: search as you type, "Show more", and uploads by drag and paste.

import { root, showTimes, toast } from "../ui/page.js";
import { thumbHashToDataURL } from "../ui/vendor/thumbhash.js";
import { takeDrops, takePastes } from "./files.js";
import { startUploads } from "./uploads.js";

const TYPING_MS = 200;
const MOST_PAGES = 20;
const results = () => document.getElementById("results");

let pending = null;

/** The results at `address`, or null if the request failed or a newer one replaced it. */
async function fetchResults(address) {
  pending?.abort();
  const mine = (pending = new AbortController());
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
    toast(error instanceof TypeError ? "Can’t reach the server." : error.message || "Something went wrong.", "bad");
    return null;
  } finally {
    if (pending === mine) results().removeAttribute("aria-busy");
  }
}

async function show(address) {
  const found = await fetchResults(address);
  if (!found) return false;
  results().replaceWith(document.adoptNode(found));
  showPlaceholders(results());
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
    const address = query.size ? `${root}/?${query}` : `${root}/`;
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

// ---- show more

async function more(link) {
  link.setAttribute("aria-disabled", "true");
  const found = await fetchResults(link.href);
  link.removeAttribute("aria-disabled");
  if (!found) return;
  const gallery = document.getElementById("gallery");
  const tiles = [...found.querySelectorAll(".tile")];
  gallery.append(...tiles);
  tiles.forEach(showPlaceholders);
  const next = found.querySelector("[data-more]");
  if (next) link.href = next.getAttribute("href");
  else link.remove();
  const count = document.querySelectorAll(".tile").length.toLocaleString("en");
  const status = results().querySelector("[role=status]");
  // The total is known only without a prefix; otherwise the count grows.
  if (new URL(location).searchParams.has("prefix")) status.textContent = `${count}${next ? "+" : ""} images, sorted by name`;
  // Keyboard users continue at the first new image.
  tiles[0]?.querySelector("a").focus({ preventScroll: true });
  rememberPages();
}

// Reloading, or coming back from an image, shows as many pages as before.
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

// ---- placeholders

/** Behind each picture that has not loaded yet, a blur of it. */
function showPlaceholders(within) {
  for (const place of within.querySelectorAll("[data-thumbhash]")) {
    const picture = place.querySelector("img");
    if (picture.complete && picture.naturalWidth) continue;
    const bytes = Uint8Array.from(atob(place.dataset.thumbhash), (character) => character.charCodeAt(0));
    place.style.backgroundImage = `url(${thumbHashToDataURL(bytes)})`;
    picture.addEventListener("load", () => place.style.removeProperty("background-image"), { once: true });
  }
}

// ---- images that fail to load

const broken = (picture) => picture.closest(".tile-picture")?.classList.add("broken");
addEventListener("error", (event) => event.target instanceof HTMLImageElement && broken(event.target), true);
for (const picture of document.querySelectorAll(".tile-picture img")) {
  if (picture.complete && picture.currentSrc && !picture.naturalWidth) broken(picture);
}

// ---- upload

const folder = () => results().dataset.folder;

/** The upload page starts in the current folder. */
function linkUpload() {
  const link = document.querySelector("[data-upload-link]");
  if (link) link.href = `${root}/upload${folder() ? `?${new URLSearchParams({ folder: folder() })}` : ""}`;
}

showPlaceholders(document);
startSearch();
linkUpload();
if (document.getElementById("uploads")) {
  const take = startUploads(() => show(location.href));
  const takeAll = (files) => take(files, folder());
  takeDrops(takeAll, folder);
  takePastes(takeAll);
}
