// Files that are dropped (folders too), pasted or chosen, each as `{ file, path }`.

import { all } from "../ui/page.js";
import { pastedName } from "./keys.js";

const IMAGE_ENDING = /\.(jpe?g|png|gif|webp|avif|hei[cf]|tiff?|bmp)$/i;
const holdsFiles = (transfer) => [...(transfer?.types ?? [])].includes("Files");

function readAll(reader) {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

async function walk(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    // Folders also contain files such as `.DS_Store`.
    if (file.type.startsWith("image/") || IMAGE_ENDING.test(file.name)) found.push({ file, path: path + file.name });
    return;
  }
  const reader = entry.createReader();
  for (let entries = await readAll(reader); entries.length; entries = await readAll(reader)) {
    for (const inner of entries) await walk(inner, `${path}${entry.name}/`, found);
  }
}

async function dropped(transfer) {
  // Entries are only valid during the event, so collect them all first.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...transfer.files].map((file) => ({ file, path: file.name }));
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const found = [];
  for (const entry of entries) if (entry) await walk(entry, "", found);
  return found;
}

/** Call `take(files)` for files dropped anywhere on the page; `where()` is the folder named on the overlay. */
export function takeDrops(take, where) {
  const cover = document.getElementById("drop-cover");
  let depth = 0;
  const show = (on) => {
    const folder = where();
    cover.querySelector("[data-where]").textContent = folder ? ` to ${folder}` : "";
    cover.hidden = !on;
  };
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event.dataTransfer)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (!holdsFiles(event.dataTransfer)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) show(false);
  });
  addEventListener("dragover", (event) => holdsFiles(event.dataTransfer) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!holdsFiles(event.dataTransfer)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    take(await dropped(event.dataTransfer));
  });
}

/** Call `take(files)` for images pasted anywhere on the page. */
export function takePastes(take) {
  let pasted = 0;
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    const now = new Date();
    take(files.map((file) => {
      // Copied files keep their name; copied pixels have none of their own.
      pasted += 1;
      return { file, path: /^image\.\w+$/.test(file.name) ? pastedName(file.type, now, pasted) : file.name };
    }));
  });
}

/** Call `take(files)` for files chosen in file inputs, and clear the input. */
export function takeChoices(selector, take) {
  for (const input of all(selector)) {
    input.addEventListener("change", () => {
      const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      input.value = "";
      const inFolder = input.webkitdirectory ? files.filter(({ file }) => IMAGE_ENDING.test(file.name)) : files;
      if (files.length) take(inFolder);
    });
  }
}
