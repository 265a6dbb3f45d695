// Validates settings while they are typed. The rules are on the server.

import { all, root } from "../ui/page.js";

const PAUSE_MS = 250;

function typedIn(form) {
  const names = all("[name]", form).filter((input) => !["form", "form_token"].includes(input.name));
  const data = new FormData(form);
  return new URLSearchParams(names.map((input) => [input.name, data.get(input.name) ?? ""]));
}

function showProblems(form, problems) {
  for (const input of all("[name]", form)) {
    const place = document.getElementById(`${input.id}-error`);
    if (!place) continue;
    const problem = problems[input.name] ?? "";
    place.textContent = problem;
    if (problem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  form.dataset.checked = Object.keys(problems).length ? "wrong" : "right";
}

function showExplanation(form, sentences) {
  const place = form.querySelector("[data-explanation]");
  if (!place) return;
  place.classList.toggle("stale", !sentences.length);
  if (!sentences.length) return;
  place.querySelector("ul").replaceChildren(
    ...sentences.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence })),
  );
}

function watch(form) {
  let timer;
  let newest = 0;
  const check = async () => {
    const mine = (newest += 1);
    try {
      const answer = await fetch(`${root}/api/config/check?${typedIn(form)}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const { problems, explanation } = await answer.json();
      // More was typed meanwhile: a newer request is on its way.
      if (mine !== newest) return;
      showProblems(form, problems);
      showExplanation(form, explanation);
    } catch {
      // The server validates again when the form is submitted.
    }
  };
  form.addEventListener("input", () => {
    delete form.dataset.checked;
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  });
}

all("form[data-check]").forEach(watch);
