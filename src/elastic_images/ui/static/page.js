// Shared by all pages: theme, local times, confirmation dialogs, toasts, copy buttons.
// Page scripts import from it (`import { toast } from "../ui/page.js"`).

const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: "sun-moon", light: "sun", dark: "moon" };
const THEME_WORDS = { system: "system", light: "light", dark: "dark" };
const TOAST_MS = 6000;

/** The path below which a proxy publishes the app: what every path of ours starts with. */
export const root = document.documentElement.dataset.root;

export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- theme

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
    // Without storage, the choice lasts for this page only.
  }
  for (const button of all("[data-theme-switch]")) {
    setIcon(button, THEME_ICONS[theme]);
    button.setAttribute("aria-label", `Theme: ${THEME_WORDS[theme]}. Change`);
    button.title = `Theme: ${THEME_WORDS[theme]}`;
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
  // Changed in another tab, or in the system settings.
  addEventListener("storage", (event) => event.key === "theme" && applyTheme(storedTheme()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new CustomEvent("ui:theme")),
  );
}

/** The current colour of a CSS variable as `rgb(...)`, for canvases. */
export function colour(variable) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  probe.style.color = `var(${variable})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// ---- times: the server sends UTC, people see local time

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

/** A message that disappears by itself. `kind`: "good", "bad" or "". */
export function toast(message, kind = "") {
  const place = document.getElementById("toasts");
  if (!place) return;
  const box = document.createElement("p");
  box.className = `toast ${kind}`;
  box.textContent = message;
  place.append(box);
  setTimeout(() => box.remove(), TOAST_MS);
}

// ---- confirmation

/** Show a confirmation dialog; resolves to whether it was confirmed. `danger` makes the button red. */
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

// <form data-ask="Title" data-ask-text="What will happen" data-ask-yes="Do it" data-ask-danger>, or the same on its submit
// button. Without scripts the form is sent at once, so irreversible actions need a confirmation page.
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
      toast("The browser blocked copying. Select the text and copy it manually.", "bad");
    }
  });
  // They need a script, so a script reveals them.
  for (const button of all("[data-copy], [data-copy-from]")) button.hidden = false;
}

// ---- prevent double submission

function startSendingOnce() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    const form = event.target;
    if (form.method === "dialog") return;
    if ("sent" in form.dataset) event.preventDefault();
    form.dataset.sent = "";
  });
  // The back button may restore the page as it was.
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));
}

// ---- htmx: after a logout, show the login page instead of embedding it

function startFragments() {
  document.addEventListener("htmx:after:request", (event) => {
    const raw = event.detail.ctx?.response?.raw;
    if (raw?.redirected && new URL(raw.url).pathname === `${root}/login`) location.reload();
  });
  document.addEventListener("htmx:after:swap", () => showTimes());
}

// ---- show a notice once, not again after a reload

function forgetNotice() {
  const here = new URL(location);
  if (!here.searchParams.has("done")) return;
  here.searchParams.delete("done");
  here.searchParams.delete("undo");
  history.replaceState(history.state, "", here);
}

startThemeSwitch();
showTimes();
forgetNotice();
startQuestions();
startCopying();
startSendingOnce();
startFragments();
