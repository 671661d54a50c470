// Whose page this is: a token, pasted or given behind the #, kept for this tab alone.
// What is read out of it is only shown; whether it is valid, the API says.

const KEY = "media-token";

/** Take a token out of the address, where it would end up in bookmarks. Whether there was one. */
export function begin() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  enter(given);
  return true;
}

export function enter(given) {
  sessionStorage.setItem(KEY, given.trim().replace(/^bearer\s+/i, ""));
}

export function leave() {
  sessionStorage.removeItem(KEY);
}

export function token() {
  return sessionStorage.getItem(KEY);
}

/** Whose token it is; null without one. */
export function owner() {
  const held = token();
  if (!held) return null;
  try {
    const payload = held.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub ?? "");
  } catch {
    return "";
  }
}
