// A film: the original at once; when it is transcoded, the adaptive stream takes over at the same place.
//
// The stream gets a video element of its own, which is filled beside the one that plays. When it has buffered the
// place that is played, the two change places. Nothing goes black, and what cannot be taken over (another element in
// full screen, a browser that lets no second element begin to play by itself) waits for a better moment.

import { attached, start } from "./stream.js";
import { make, say } from "./words.js";

const AHEAD = 1.0;
/** Seconds that must be there before the stream takes over. */
const LEAD = 0.25;
/** By how much it waits ahead of what is played, so that it begins when that gets there. */
const LOOK = 30;
const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];
const NETWORK = 2;
const ANEW_SECONDS = 10;

export class Film {
  #id;
  #stage;
  #tools;
  #video = null;
  #source = null;
  #mode = "";
  #over = new AbortController();
  #notice = make("p", { className: "notice", hidden: true });
  #now = make("p", { className: "dim playing" });
  #qualities = make("select", { id: "quality" });
  #quality = make("label", { hidden: true }, "Quality ", this.#qualities);
  #rates = make("select", { id: "rate" });

  constructor(id, stage, tools) {
    [this.#id, this.#stage, this.#tools] = [id, stage, tools];
    for (const rate of RATES) this.#rates.append(make("option", { value: rate, textContent: `${rate}×`, selected: rate === 1 }));
    this.#rates.addEventListener("change", () => {
      this.#video.playbackRate = Number(this.#rates.value);
    });
    this.#qualities.addEventListener("change", () => this.#source?.choose(Number(this.#qualities.value)));
    tools.append(this.#quality, make("label", {}, "Speed ", this.#rates), this.#now);
    stage.append(this.#notice);
    window.addEventListener("pagehide", () => this.#remember(), { signal: this.#over.signal });
  }

  /** What is known of it now; called again whenever more is known. */
  show(playback) {
    const done = playback.transcode_status === "COMPLETED";
    if (this.#mode === "") {
      if (done && playback.hls_url) this.#begin(playback, "hls");
      else this.#begin(playback, "original");
    } else if (done && playback.hls_url && this.#mode === "original") {
      this.#mode = "changing";
      this.#takeOver(playback);
    }
  }

  close() {
    this.#remember();
    this.#over.abort();
    this.#source?.close();
    this.#stage.replaceChildren();
    this.#tools.replaceChildren();
  }

  async #begin(playback, mode) {
    this.#mode = mode;
    const video = this.#blank(playback);
    this.#place(video);
    const at = this.#remembered();
    if (mode === "hls") {
      const source = await attached(video, playback.hls_url, at, (why) => this.#without(playback, video, why));
      if (this.#over.signal.aborted) return source?.close();
      if (source !== null) return this.#adopt(source, "adaptive stream");
    }
    return this.#play(playback, video, at);
  }

  /** One file: the MP4 that was made of it, else the original. */
  #play(playback, video, at) {
    const made = playback.variants.find((variant) => variant.name === "video");
    const url = made?.url ?? playback.original_url;
    this.#tell(made ? "MP4" : "original");
    let failed = -Infinity;
    video.addEventListener("error", () => {
      if (video !== this.#video) return;
      // The address behind a redirect does not live for ever: a new one is asked for, at the same place.
      if (video.error?.code === NETWORK && performance.now() - failed > 1000 * ANEW_SECONDS) {
        failed = performance.now();
        const [place, playing] = [video.currentTime, !video.paused];
        start(video, url, place);
        if (playing) video.play().catch(() => {});
        return;
      }
      this.#refuse(video, playback.transcode_status);
    });
    start(video, url, at);
  }

  #refuse(video, status) {
    const hope = status === "COMPLETED" || status === "FAILED" ? "" : " It can be played here as soon as it is processed.";
    this.#notice.textContent = `This browser cannot play the file as it was uploaded.${hope}`;
    this.#notice.hidden = false;
    video.hidden = this.#tools.hidden = true;
    say(this.#notice.textContent);
  }

  /** The stream cannot be played to its end: one file instead, at the same place. */
  #without(playback, video) {
    if (this.#over.signal.aborted || video !== this.#video) return;
    const [at, playing] = [video.currentTime, !video.paused];
    this.#source?.close();
    [this.#source, this.#mode] = [null, "mp4"];
    this.#quality.hidden = true;
    this.#play(playback, video, at);
    if (playing) video.play().catch(() => {});
  }

  async #takeOver(playback) {
    const { signal } = this.#over;
    const from = this.#video;
    const next = this.#blank(playback);
    next.classList.add("coming");
    this.#stage.append(next);
    let broken = false;
    const source = await attached(next, playback.hls_url, from.ended ? 0 : from.currentTime, () => {
      broken = true;
      this.#without(playback, next);
    });
    const cannot = () => broken || signal.aborted;
    const taken = source !== null && !cannot() && (await this.#changed(from, next, cannot));
    if (!taken) {
      // What plays goes on playing; a file that could not be played at all is tried as MP4.
      source?.close();
      next.remove();
      this.#mode = "kept";
      if (!signal.aborted && !this.#notice.hidden) this.#begin({ ...playback, hls_url: null }, "mp4");
      return;
    }
    this.#mode = "hls";
    this.#adopt(source, "adaptive stream");
    say("Now playing the adaptive stream.");
  }

  /** Waits for the moment, then lets `next` go on where `from` is. False where it cannot be any more. */
  async #changed(from, next, cannot) {
    while (!cannot()) {
      if (apart(from)) await either(this.#over.signal, [document, "fullscreenchange"], [from, "leavepictureinpicture"]);
      else if (!buffered(next, from)) await passed(LOOK);
      else if (from.paused || from.ended) {
        await sought(next, from.ended ? 0 : from.currentTime);
        if (!cannot() && (from.paused || from.ended)) return this.#place(next, from);
      } else {
        await sought(next, from.currentTime + LEAD * from.playbackRate);
        [next.muted, next.volume, next.playbackRate] = [from.muted, from.volume, from.playbackRate];
        while (!cannot() && !from.paused && Math.abs(next.currentTime - from.currentTime) < 2 * LEAD + 1 && next.currentTime > from.currentTime)
          await passed(10);
        if (cannot() || from.paused || !buffered(next, from) || next.currentTime - from.currentTime > LEAD) continue;
        try {
          await next.play();
        } catch {
          next.pause();
          await either(this.#over.signal, [from, "pause"], [from, "ended"]);
          continue;
        }
        return this.#place(next, from);
      }
    }
    return false;
  }

  /** Put an element on the stage, in the place of another with the focus, sound and speed it had. */
  #place(video, from = null) {
    const focused = document.activeElement === from && from !== null;
    if (from !== null) {
      [video.muted, video.volume, video.playbackRate] = [from.muted, from.volume, from.playbackRate];
      from.pause();
      from.removeAttribute("src");
      from.load();
    }
    for (const other of this.#stage.querySelectorAll("video")) if (other !== video) other.remove();
    video.classList.remove("coming");
    if (!video.isConnected) this.#stage.prepend(video);
    this.#video = video;
    this.#notice.hidden = true;
    this.#tools.hidden = false;
    if (focused) video.focus();
    return true;
  }

  #adopt(source, name) {
    this.#source = source;
    this.#tell(name);
    source.watch(
      (levels) => {
        const shown = [...levels].sort((one, other) => other.height - one.height);
        this.#qualities.replaceChildren(
          make("option", { value: -1, textContent: "Auto", selected: true }),
          ...shown.map(({ index, height }) => make("option", { value: index, textContent: `${height}p` })),
        );
        this.#quality.hidden = levels.length === 0;
      },
      (height) => this.#tell(`${name}, ${height}p`),
    );
  }

  #tell(what) {
    this.#now.textContent = `Playing: ${what}`;
    this.#stage.dataset.playing = this.#mode === "changing" ? "original" : this.#mode;
  }

  #blank(playback) {
    const video = make("video", { controls: true, playsInline: true, preload: "auto" });
    video.setAttribute("aria-label", playback.original_filename || "Video");
    if (playback.thumbnail_url) video.poster = playback.thumbnail_url;
    video.addEventListener("ratechange", () => {
      if (video === this.#video) this.#rates.value = String(video.playbackRate);
    });
    return video;
  }

  /** The place is kept for this tab, so that a reload goes on where it was. */
  #remember() {
    if (this.#video?.currentTime > 0) sessionStorage.setItem(`media-at-${this.#id}`, this.#video.currentTime.toFixed(2));
  }

  #remembered() {
    return Number(sessionStorage.getItem(`media-at-${this.#id}`)) || 0;
  }
}

function apart(video) {
  return document.fullscreenElement === video || document.pictureInPictureElement === video;
}

/** Whether `next` has what `from` plays in the next moment. One that is far off is sent there. */
function buffered(next, from) {
  const at = from.ended ? 0 : from.currentTime;
  const end = Math.min(at + AHEAD + LEAD, (next.duration || Infinity) - 0.1);
  const { buffered: ranges } = next;
  for (let index = 0; index < ranges.length; index += 1)
    if (ranges.start(index) <= at + 0.1 && ranges.end(index) >= end) return true;
  if (next.readyState > 0 && !next.seeking && Math.abs(next.currentTime - at) > 5) next.currentTime = at;
  return false;
}

async function sought(video, at) {
  if (Math.abs(video.currentTime - at) < 0.01 && !video.seeking) return;
  video.currentTime = at;
  await either(AbortSignal.timeout(5000), [video, "seeked"]);
}

const passed = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The first of these events, or the end of the signal. */
function either(signal, ...sources) {
  return new Promise((resolve) => {
    const heard = new AbortController();
    const done = () => {
      heard.abort();
      resolve();
    };
    for (const [target, name] of sources) target.addEventListener(name, done, { signal: heard.signal });
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { signal: heard.signal });
  });
}
