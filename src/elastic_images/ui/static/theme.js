// Runs before the first paint to avoid a flash of the wrong theme; deliberately loaded without `defer`.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: use the system theme.
}
document.documentElement.classList.add("has-script");
