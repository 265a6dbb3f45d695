// Runs before the page is drawn, so that a choice of colours never flashes. Loaded without `defer`, on purpose.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's colours.
}
document.documentElement.classList.add("has-script");
