// The upload page: files are sent as soon as they are chosen, dropped or pasted.

import { takeChoices, takeDrops, takePastes } from "./files.js";
import { startUploads } from "./uploads.js";

const form = document.getElementById("upload-form");
const folder = () => form.elements.folder.value.trim().replace(/^\/+|\/+$/g, "");
const take = startUploads();
const takeAll = (files) => take(files, folder(), form.elements.visibility?.value);

takeDrops(takeAll, folder);
takePastes(takeAll);
takeChoices("#upload-form input[type=file]", takeAll);
// With scripts there is no submit button, so Enter in the folder field must do nothing.
form.addEventListener("submit", (event) => event.preventDefault());
