// Keys: of files, in addresses, in folders. As `core/keys.py` and `pages/upload.py` have it on the server.

/** The key in a path: its slashes stay. */
export const quoteKey = (key) => key.split("/").map(encodeURIComponent).join("/");

/** The key of a file that lies at `path` (its name, or with the folders it was dropped in), put into `folder`. */
export function keyFor(path, folder) {
  const inside = path.replaceAll("\\", "/").replace(/^\/+/, "");
  const outside = folder.trim().replace(/^\/+|\/+$/g, "");
  return (outside ? `${outside}/${inside}` : inside).normalize("NFC");
}

/** Why a text is no key that an address can carry; "" where it is one. The server knows the other rules. */
export function keyTrouble(key) {
  if ([...key].length > 255) return "The name is too long: a key has at most 255 characters.";
  const bad = key.split("/").some((segment) => ["", ".", ".."].includes(segment));
  return bad ? "No part of a name between slashes may be empty, “.” or “..”." : "";
}

/** Another name beside a key that is taken: `a/b.jpg`, 2 -> `a/b-2.jpg`. */
export function besideKey(key, number) {
  const [, stem, ending] = /^(.*?)((?:\.[^./]+)?)$/s.exec(key);
  return `${stem}-${number}${ending}`;
}

const pad = (number) => String(number).padStart(2, "0");

/** The name of a pasted image: browsers call all of them `image.png`. */
export function pastedName(type, date, number) {
  const day = `${date.getFullYear()}${pad(date.getMonth() + 1)}${pad(date.getDate())}`;
  const time = `${pad(date.getHours())}${pad(date.getMinutes())}${pad(date.getSeconds())}`;
  const ending = /^image\/([a-z0-9]+)/.exec(type)?.[1].replace("jpeg", "jpg") ?? "png";
  return `pasted-${day}-${time}${number > 1 ? `-${number}` : ""}.${ending}`;
}
