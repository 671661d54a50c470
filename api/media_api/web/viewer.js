// One asset, shown as well as it can be shown now: the original at once, what was made of it as soon as it is there.

import * as api from "./api.js";
import { Film } from "./film.js";
import { repeat } from "./pace.js";
import { owner } from "./session.js";
import { canvas } from "./thumbhash.js";
import { duration, kind, make, paint, say, size, title } from "./words.js";

const SETTLED = new Set(["COMPLETED", "FAILED"]);

export class Viewer {
  #root;
  #told;
  #id = null;
  #stop = null;
  #film = null;
  #parts = null;
  #announced = "";

  /** `told.close()` is for the button of that name, `gone()` and `changed()` for what an owner does with an asset. */
  constructor(root, told = {}) {
    this.#root = root;
    this.#told = told;
  }

  open(id) {
    if (id === this.#id) return;
    this.#stop?.();
    this.#film?.close();
    [this.#film, this.#id, this.#announced] = [null, id, ""];
    this.#root.hidden = id === null;
    this.#root.replaceChildren();
    if (id === null) {
      document.title = "Media";
      return;
    }
    this.#parts = this.#build();
    this.#look();
  }

  focus() {
    this.#parts?.heading.focus();
  }

  #look() {
    const id = this.#id;
    this.#stop?.();
    this.#stop = repeat(async (signal) => {
      try {
        const shown = await this.#fetched(id, signal);
        if (signal.aborted) return true;
        this.#problem("");
        this.#show(shown);
        return SETTLED.has(shown.transcode_status);
      } catch (error) {
        if (signal.aborted) return true;
        this.#problem(error.status === 404 ? "There is no such asset, or it was deleted." : error.message);
        if (error.status === 404) this.#parts.heading.textContent = "Nothing here";
        return error.status === 404;
      }
    });
  }

  /** Its owner is told more than others, but everybody is told enough. */
  async #fetched(id, signal) {
    if (!this.#told.gone || owner() === null) return api.playback(id, signal);
    try {
      return await api.asset(id, signal);
    } catch (error) {
      if (error.status !== 404 && error.status !== 401) throw error;
      return api.playback(id, signal);
    }
  }

  #build() {
    const parts = {
      heading: make("h2", { tabIndex: -1, textContent: "Loading …" }),
      chip: make("span", { className: "chip" }),
      facts: make("p", { className: "dim" }),
      bar: make("progress", { max: 100, hidden: true }),
      message: make("p", { className: "message", hidden: true }),
      problem: make("p", { className: "problem" }),
      stage: make("div", { className: "stage" }),
      tools: make("div", { className: "tools" }),
      actions: make("p", { className: "row actions" }),
    };
    parts.bar.setAttribute("aria-label", "Processing");
    parts.problem.setAttribute("role", "alert");
    const row = make("div", { className: "row title" }, parts.heading, parts.chip);
    if (this.#told.close) row.append(this.#button("Close", "quiet", this.#told.close));
    this.#root.append(row, parts.problem, parts.stage, parts.tools, parts.bar, parts.message, parts.facts, parts.actions);
    return parts;
  }

  #show(shown) {
    const { heading, facts, bar, message, stage, tools } = this.#parts;
    const processing = shown.transcode_status === "PROCESSING";
    document.title = `${title(shown)} · Media`;
    heading.textContent = title(shown);
    paint(this.#parts.chip, shown);
    facts.textContent = this.#facts(shown);
    bar.hidden = !processing;
    if (processing && shown.progress_percent !== null) bar.value = shown.progress_percent;
    else bar.removeAttribute("value");
    message.hidden = shown.transcode_status === "COMPLETED" || !shown.message;
    message.textContent = shown.message ?? "";
    message.classList.toggle("problem", shown.transcode_status === "FAILED");
    this.#announce(shown);
    if (shown.asset_type === "VIDEO") (this.#film ??= new Film(shown.asset_id, stage, tools)).show(shown);
    else this.#still(shown, stage);
    this.#offer(shown);
  }

  #facts(shown) {
    const pixels = shown.width ? `${shown.width} × ${shown.height}` : "";
    const frames = shown.frames > 1 ? `${shown.frames} frames` : "";
    return [kind(shown), pixels, frames, duration(shown.duration_seconds), size(shown.size_bytes)].filter(Boolean).join(" · ");
  }

  /** Every state, and every quarter of the way. */
  #announce(shown) {
    const quarter = shown.progress_percent === null ? "" : `, ${25 * Math.floor(shown.progress_percent / 25)} percent`;
    const sentence = {
      PENDING: "Waiting to be processed.",
      PROCESSING: `Being processed${quarter}.`,
      COMPLETED: "Ready.",
      FAILED: `Processing failed. ${shown.message ?? ""}`,
    }[shown.transcode_status];
    if (sentence !== this.#announced) say(sentence);
    this.#announced = sentence;
  }

  /** A picture in the size the screen needs; of a document the way to it. */
  #still(shown, stage) {
    if (stage.dataset.shown === shown.transcode_status) return;
    stage.dataset.shown = shown.transcode_status;
    if (shown.asset_type !== "IMAGE") {
      stage.replaceChildren(make("span", { className: "glyph", textContent: kind(shown) }));
      return;
    }
    const image = make("img", { alt: title(shown), decoding: "async" });
    if (shown.variants.length) {
      image.sizes = "(min-width: 72rem) 70rem, 100vw";
      image.srcset = shown.variants.map((variant) => `${variant.url} ${variant.width}w`).join(", ");
      [image.width, image.height] = [shown.width, shown.height];
    }
    image.addEventListener("error", () =>
      stage.replaceChildren(
        make("p", {
          className: "notice",
          textContent: SETTLED.has(shown.transcode_status)
            ? "This picture cannot be shown here."
            : "This browser cannot show the file as it was uploaded. It appears as soon as it is processed.",
        }),
      ),
    );
    image.src = shown.variants.at(-1)?.url ?? shown.original_url;
    const blurred = shown.placeholder ? canvas(shown.placeholder) : null;
    image.addEventListener("load", () => blurred?.remove(), { once: true });
    stage.replaceChildren(...(blurred ? [blurred, image] : [image]));
  }

  /** What can be done with it; the buttons that stay keep the focus. */
  #offer(shown) {
    const { actions } = this.#parts;
    const mine = this.#told.gone && shown.s3_key !== undefined;
    const wanted = `${mine}/${shown.transcode_status === "FAILED"}`;
    if (actions.dataset.offered === wanted) return;
    actions.dataset.offered = wanted;
    const original = make("a", { href: shown.original_url, textContent: "Open the original", target: "_blank", rel: "noopener" });
    actions.replaceChildren(original);
    if (mine && shown.transcode_status === "FAILED")
      actions.append(this.#button("Try again", "quiet", () => this.#again(shown)));
    if (mine) actions.append(this.#button("Delete", "quiet danger", () => this.#ask(shown)));
  }

  #again(shown) {
    this.#attempt(() => api.retry(shown.asset_id), () => {
      this.#look();
      this.#told.changed();
    });
  }

  #ask(shown) {
    const dialog = document.getElementById("sure");
    dialog.returnValue = "no";
    dialog.addEventListener(
      "close",
      () => {
        if (dialog.returnValue !== "yes") return;
        this.#attempt(() => api.remove(shown.asset_id), () => {
          say("Deleted.");
          this.#told.gone();
        });
      },
      { once: true },
    );
    dialog.showModal();
  }

  async #attempt(call, then) {
    try {
      await call();
      this.#problem("");
      then();
    } catch (error) {
      this.#problem(error.message);
    }
  }

  #problem(sentence) {
    const { problem } = this.#parts;
    if (problem.textContent !== sentence) problem.textContent = sentence;
  }

  #button(text, className, click) {
    const button = make("button", { type: "button", className, textContent: text });
    button.addEventListener("click", click);
    return button;
  }
}
