// Keeps the element `#live` up to date: polls, faster while something changes, and not while the page is hidden. The
// htmx attributes of the element say what to fetch and what to take from the response.

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
