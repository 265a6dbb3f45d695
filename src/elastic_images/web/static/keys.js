// Keys of uploaded files; mirrors `core/keys.py` and `pages/upload.py` on the server.

/** The key percent-encoded for a URL path; slashes are kept. */
export const quoteKey = (key) => key.split("/").map(encodeURIComponent).join("/");

/** The key of a file uploaded to `folder`; `path` is its name, with any folders it was dropped in. */
export function keyFor(path, folder) {
  const inside = path.replaceAll("\\", "/").replace(/^\/+/, "");
  const outside = folder.trim().replace(/^\/+|\/+$/g, "");
  return (outside ? `${outside}/${inside}` : inside).normalize("NFC");
}

/** Why a key cannot be used in a URL, or "". The server checks the remaining rules. */
export function keyProblem(key) {
  if ([...key].length > 255) return "Name is too long (maximum 255 characters).";
  const bad = key.split("/").some((segment) => ["", ".", ".."].includes(segment));
  return bad ? "Folder and file names can’t be empty, “.” or “..”." : "";
}

/** An alternative to a key that is taken: `a/b.jpg`, 2 -> `a/b-2.jpg`. */
export function besideKey(key, number) {
  const [, stem, ending] = /^(.*?)((?:\.[^./]+)?)$/s.exec(key);
  return `${stem}-${number}${ending}`;
}

const pad = (number) => String(number).padStart(2, "0");

/** A name for a pasted image; browsers call them all `image.png`. */
export function pastedName(type, date, number) {
  const day = `${date.getFullYear()}${pad(date.getMonth() + 1)}${pad(date.getDate())}`;
  const time = `${pad(date.getHours())}${pad(date.getMinutes())}${pad(date.getSeconds())}`;
  const ending = /^image\/([a-z0-9]+)/.exec(type)?.[1].replace("jpeg", "jpg") ?? "png";
  return `pasted-${day}-${time}${number > 1 ? `-${number}` : ""}.${ending}`;
}
