// The adaptive stream on a video element: by hls.js wherever there is a MediaSource, by the browser itself elsewhere.
// What can pass is tried again here; `broken` is called once it is of no use.

/** The stream on an element: by hls.js wherever a MediaSource is, by the browser itself elsewhere; null by neither. */
export async function attached(video, url, at, broken) {
  const Hls = await import("./hls.mjs").then((module) => module.default, () => null);
  if (Hls?.isSupported()) return new Adaptive(Hls, video, url, at, broken);
  if (!video.canPlayType("application/vnd.apple.mpegurl")) return null;
  video.addEventListener("error", broken, { once: true });
  start(video, url, at);
  return { watch: () => {}, choose: () => {}, close: () => video.removeAttribute("src") };
}

class Adaptive {
  #hls;
  #events;
  #trouble = 0;
  #missing = 0;
  #closed = false;

  constructor(Hls, video, url, at, broken) {
    this.#events = Hls.Events;
    this.#hls = new Hls({ startPosition: at, workerPath: new URL("./hls.worker.js", import.meta.url).pathname });
    this.#hls.on(Hls.Events.ERROR, (_, { fatal, type, response }) => {
      // What is not there does not come, since all of it was seen before anybody was told; hls.js tries on for long.
      if (response?.code === 404) this.#missing += 1;
      if (this.#missing > this.#hls.levels.length) broken();
      else if (fatal) this.#mend(url, type === Hls.ErrorTypes.MEDIA_ERROR, broken);
    });
    this.#hls.on(Hls.Events.FRAG_BUFFERED, () => ([this.#trouble, this.#missing] = [0, 0]));
    this.#hls.loadSource(url);
    this.#hls.attachMedia(video);
  }

  /** Tells the levels as soon as they are known, and whenever another one is played. */
  watch(levels, playing) {
    const known = () =>
      levels(this.#hls.levels.map(({ width, height }, index) => ({ index, height: Math.min(width, height) })));
    const tell = (level) => {
      const { width, height } = this.#hls.levels[level] ?? {};
      if (height) playing(Math.min(width, height));
    };
    this.#hls.on(this.#events.MANIFEST_PARSED, known);
    this.#hls.on(this.#events.LEVEL_SWITCHED, (_, { level }) => tell(level));
    if (this.#hls.levels.length) known();
    tell(this.#hls.currentLevel);
  }

  /** From the next segment on; -1 leaves it to the bandwidth. */
  choose(level) {
    this.#hls.nextLevel = level;
  }

  close() {
    this.#closed = true;
    this.#hls.destroy();
  }

  #mend(url, inMedia, broken) {
    this.#trouble += 1;
    if (this.#trouble > 3) broken();
    else if (inMedia) this.#hls.recoverMediaError();
    else setTimeout(() => this.#loadAgain(url), 1000 * this.#trouble);
  }

  #loadAgain(url) {
    if (this.#closed) return;
    if (this.#hls.levels.length) this.#hls.startLoad();
    else this.#hls.loadSource(url);
  }
}

/** Let an element play a file from that place on. */
export function start(video, url, at) {
  video.src = url;
  if (at > 0) video.addEventListener("loadedmetadata", () => (video.currentTime = at), { once: true });
}
