// Keeps the part of the page with the id `live` as it is now: asks again and again, faster while something changes, not
// while nobody looks. What it asks, and what it takes from the answer, say the htmx attributes of that element.

import { clockTime, showTimes } from "../ui/page.js";

const CALM_MS = 2500;
const BUSY_MS = 700;

const lost = document.getElementById("lost");
let timer;
let waiting = false;
let since = new Date();

function region() {
  return document.getElementById("live");
}

function plan() {
  clearTimeout(timer);
  if (document.hidden || !region()) return;
  timer = setTimeout(look, "busy" in region().dataset ? BUSY_MS : CALM_MS);
}

function look() {
  if (waiting) return;
  waiting = true;
  region().dispatchEvent(new CustomEvent("live"));
}

function answered() {
  since = new Date();
  if (lost) lost.hidden = true;
  showTimes(region());
}

function failed() {
  if (!lost) return;
  const time = lost.querySelector("[data-since]");
  time.dateTime = since.toISOString();
  time.textContent = clockTime(since);
  time.dataset.shown = "";
  lost.hidden = false;
}

document.addEventListener("htmx:after:swap", answered);
document.addEventListener("htmx:error", failed);
document.addEventListener("htmx:response:error", failed);
document.addEventListener("htmx:finally:request", () => {
  waiting = false;
  plan();
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
plan();
