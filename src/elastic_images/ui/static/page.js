// What every page has: choice of colours, local times, questions before something is lost, toasts, copy buttons.
// A module: page scripts import from it (`import { toast } from "../ui/page.js"`).

const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: "sun-moon", light: "sun", dark: "moon" };
const THEME_WORDS = { system: "as the system", light: "light", dark: "dark" };
const TOAST_MS = 6000;

export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- colours

function storedTheme() {
  try {
    const kept = localStorage.getItem("theme");
    return THEMES.includes(kept) ? kept : "system";
  } catch {
    return "system";
  }
}

function applyTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Then the choice holds for this page only.
  }
  for (const button of all("[data-theme-switch]")) {
    setIcon(button, THEME_ICONS[theme]);
    button.setAttribute("aria-label", `Colours: ${THEME_WORDS[theme]}. Change`);
    button.title = `Colours: ${THEME_WORDS[theme]}`;
  }
  document.dispatchEvent(new CustomEvent("ui:theme"));
}

export function setIcon(element, name) {
  const use = element.querySelector("use");
  use?.setAttribute("href", use.getAttribute("href").replace(/#.*$/, `#${name}`));
}

function startThemeSwitch() {
  for (const button of all("[data-theme-switch]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      applyTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]);
    });
  }
  applyTheme(storedTheme());
  // Another tab, and the system's own switch.
  addEventListener("storage", (event) => event.key === "theme" && applyTheme(storedTheme()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new CustomEvent("ui:theme")),
  );
}

/** The colour that a CSS variable has now, as `rgb(...)`: for canvases. */
export function colour(variable) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  probe.style.color = `var(${variable})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// ---- times: the server writes UTC, people read their own

const pad = (number) => String(number).padStart(2, "0");

export function clockTime(date, seconds = true) {
  const short = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return seconds ? `${short}:${pad(date.getSeconds())}` : short;
}

export function localTime(date) {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${clockTime(date)}`;
}

export function showTimes(root = document) {
  for (const time of all("time[datetime]:not([data-shown])", root)) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = time.textContent.trim();
    time.textContent = time.dataset.as === "clock" ? clockTime(date) : localTime(date);
    time.dataset.shown = "";
  }
}

// ---- toasts

/** A message that goes away by itself. `kind`: "good", "bad", or "" . */
export function toast(message, kind = "") {
  const place = document.getElementById("toasts");
  if (!place) return;
  const box = document.createElement("p");
  box.className = `toast ${kind}`;
  box.textContent = message;
  place.append(box);
  setTimeout(() => box.remove(), TOAST_MS);
}

// ---- questions

/** Ask before something is done; gives whether the person said yes. `danger` makes the button red. */
export function ask({ title, text, yes, danger = false }) {
  const dialog = document.getElementById("question");
  dialog.querySelector("[data-title]").textContent = title;
  dialog.querySelector("[data-text]").textContent = text;
  const button = dialog.querySelector("[value=yes]");
  button.textContent = yes;
  button.className = danger ? "button danger" : "button primary";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// <form data-ask="Title" data-ask-text="What will happen" data-ask-yes="Do it" data-ask-danger>; it may stand on the
// button that sends the form as well. Without a script the form is sent at once: what cannot be undone needs a page.
function startQuestions() {
  const agreed = new WeakSet();
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const asking = event.submitter?.dataset.ask ? event.submitter : form;
    if (!asking.dataset.ask || agreed.delete(form)) return;
    event.preventDefault();
    const { ask: title, askText, askYes } = asking.dataset;
    const danger = "askDanger" in asking.dataset;
    if (await ask({ title, text: askText ?? "", yes: askYes ?? "Yes", danger })) {
      agreed.add(form);
      form.requestSubmit(event.submitter);
    }
  });
}

// ---- copying: <button data-copy="text"> or <button data-copy-from="id of an element">

function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) return;
    const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
    const text = source ? (source.value ?? source.textContent.trim()) : button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied.", "good");
    } catch {
      toast("The browser did not let this page copy. Select the text and copy it by hand.", "bad");
    }
  });
  // Without a script nothing would happen, so they are shown by one.
  for (const button of all("[data-copy], [data-copy-from]")) button.hidden = false;
}

// ---- forms are sent once, however often a button is pressed

function startSendingOnce() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const form = event.target;
    if (form.method === "dialog") return;
    if ("sent" in form.dataset) event.preventDefault();
    form.dataset.sent = "";
  });
  // Coming back by the browser's button shows the page as it was left.
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));
}

// ---- htmx: whoever was logged out is shown the login, not a page within a page

function startFragments() {
  document.addEventListener("htmx:after:request", (event) => {
    const raw = event.detail.ctx?.response?.raw;
    if (raw?.redirected && new URL(raw.url).pathname === "/login") location.reload();
  });
  document.addEventListener("htmx:after:swap", () => showTimes());
}

// ---- what was just done is said once, not again after a reload

function forgetWhatWasDone() {
  const here = new URL(location);
  if (!here.searchParams.has("done")) return;
  here.searchParams.delete("done");
  history.replaceState(history.state, "", here);
}

startThemeSwitch();
showTimes();
forgetWhatWasDone();
startQuestions();
startCopying();
startSendingOnce();
startFragments();
