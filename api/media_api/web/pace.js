// Looking again and again: soon at first, then slower, and at once when somebody comes back to the page.
// `?poll=<seconds>` says how long a pause gets; 30 seconds without it.

const FIRST = 2000;
const DEFAULT = 30;

export function longest(search = location.search) {
  const given = Number(new URLSearchParams(search).get("poll"));
  return 1000 * (given >= 0.2 && given <= 3600 ? given : DEFAULT);
}

/** Calls `look(signal)` until it returns true or the returned function is called. */
export function repeat(look) {
  const most = longest();
  const over = new AbortController();
  let pause = Math.min(FIRST, most);
  let timer = 0;
  let looking = false;

  async function next() {
    if (looking || over.signal.aborted) return;
    clearTimeout(timer);
    looking = true;
    try {
      if (await look(over.signal)) over.abort();
    } finally {
      looking = false;
      if (!over.signal.aborted) timer = setTimeout(next, pause);
      pause = Math.min(pause * 1.5, most);
    }
  }

  document.addEventListener("visibilitychange", () => document.hidden || next(), { signal: over.signal });
  next();
  return () => {
    clearTimeout(timer);
    over.abort();
  };
}
