// The REST API as the pages use it. Whatever goes wrong is a Refused with a sentence for people.

import { token } from "./session.js";

const ROOT = "/api/v1/media";
const PATIENCE = 20_000;
const TRIES = 4;

/** An answer that is none: the status (0 where nothing answered), the problem's sentence and its kind. */
export class Refused extends Error {
  constructor(status, sentence, kind = "", retryAfter = 0) {
    super(sentence);
    Object.assign(this, { status, kind, retryAfter });
  }
}

export const playback = (id, signal) => call("GET", `/playback/${encodeURIComponent(id)}`, { signal });
export const asset = (id, signal) => call("GET", `/assets/${encodeURIComponent(id)}`, { signal, mine: true });
export const remove = (id) => call("DELETE", `/assets/${encodeURIComponent(id)}`, { mine: true });
export const retry = (id) => call("POST", `/assets/${encodeURIComponent(id)}/retry`, { mine: true });
export const announce = (body) => patiently(() => call("POST", "/upload", { body, mine: true }));
export const confirm = (id) =>
  patiently(() => call("POST", "/upload/confirm", { body: { asset_id: id }, mine: true }));

export function assets(cursor, signal) {
  const query = new URLSearchParams({ limit: "24", ...(cursor ? { cursor } : {}) });
  return call("GET", `/assets?${query}`, { signal, mine: true });
}

async function call(method, path, { body, signal, mine = false } = {}) {
  const headers = { Accept: "application/json" };
  if (mine) headers.Authorization = `Bearer ${token() ?? ""}`;
  if (body) headers["Content-Type"] = "application/json";
  const timeout = AbortSignal.timeout(PATIENCE);
  let answer;
  try {
    answer = await fetch(ROOT + path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "The service cannot be reached. Check the connection.");
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok) return told;
  const kind = String(told?.type ?? "").split("/").pop();
  const sentence = told?.detail ?? `The service answered with status ${answer.status}.`;
  throw new Refused(answer.status, sentence, kind, Number(answer.headers.get("Retry-After")) || 0);
}

/** Again after the time the answer asks for, where it says that it can pass. */
async function patiently(ask) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask();
    } catch (error) {
      const passes = error instanceof Refused && error.retryAfter > 0 && error.retryAfter <= 5;
      if (!passes || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfter * 1000));
    }
  }
}
