// The upload page: files go out as soon as they are chosen, dropped or pasted.

import { takeChoices, takeDrops, takePastes } from "./files.js";
import { startUploads } from "./uploads.js";

const form = document.getElementById("upload-form");
const folder = () => form.elements.folder.value.trim().replace(/^\/+|\/+$/g, "");
const take = startUploads();
const takeAll = (files) => take(files, folder());

takeDrops(takeAll, folder);
takePastes(takeAll);
takeChoices("#upload-form input[type=file]", takeAll);
// With a script there is no button to send it: Enter in the folder's field sends nothing.
form.addEventListener("submit", (event) => event.preventDefault());
