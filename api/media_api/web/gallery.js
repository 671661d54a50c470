// The gallery: the newest assets of whoever is signed in, each a card that is a link. Looked at again as long as one
// of them is not settled.

import { assets } from "./api.js";
import { repeat } from "./pace.js";
import { canvas } from "./thumbhash.js";
import { duration, kind, make, paint, chip, title } from "./words.js";

const SETTLED = new Set(["COMPLETED", "FAILED"]);

export class Gallery {
  #list;
  #told;
  #cards = new Map();
  #older = [];
  #cursor = null;
  #stop = null;

  constructor(list, told) {
    this.#list = list;
    this.#told = told;
  }

  start() {
    if (this.#stop === null) this.refresh();
  }

  stop() {
    this.#stop?.();
    this.#stop = null;
    this.#older = [];
    this.#cards.clear();
    this.#list.replaceChildren();
  }

  /** Look now, and then until everything is settled. */
  refresh() {
    this.#stop?.();
    this.#stop = repeat(async (signal) => {
      try {
        const page = await assets(null, signal);
        if (!this.#older.length) this.#cursor = page.next_cursor;
        this.#show(page.assets);
        this.#problem("");
        return page.assets.every((asset) => SETTLED.has(asset.transcode_status));
      } catch (error) {
        if (signal.aborted || this.#told.unauthorized(error)) return true;
        this.#problem(error.message);
        return false;
      }
    });
  }

  /** The next page. */
  async more() {
    try {
      const page = await assets(this.#cursor);
      this.#older.push(...page.assets);
      this.#cursor = page.next_cursor;
      this.refresh();
    } catch (error) {
      if (!this.#told.unauthorized(error)) this.#problem(error.message);
    }
  }

  #show(newest) {
    const known = new Set(newest.map((asset) => asset.asset_id));
    const all = [...newest, ...this.#older.filter((asset) => !known.has(asset.asset_id))];
    const cards = all.map((asset) => {
      const card = this.#cards.get(asset.asset_id) ?? new Card(asset, this.#told);
      card.show(asset);
      this.#cards.set(asset.asset_id, card);
      return card.element;
    });
    // Cards that stay are left where they are, or the one with the focus would lose it.
    cards.forEach((card, at) => this.#list.children[at] === card || this.#list.insertBefore(card, this.#list.children[at] ?? null));
    while (this.#list.children.length > cards.length) this.#list.lastElementChild.remove();
    document.getElementById("gallery-empty").hidden = all.length > 0;
    document.getElementById("more").hidden = this.#cursor === null;
  }

  #problem(sentence) {
    const place = document.getElementById("gallery-problem");
    if (place.textContent !== sentence) place.textContent = sentence;
  }
}

class Card {
  #picture = make("div", { className: "picture" });
  #chip;
  #facts = make("span", { className: "dim" });
  #shown = "";

  constructor(asset, { address, open }) {
    this.#chip = chip(asset);
    const link = make(
      "a",
      { href: address(asset.asset_id) },
      this.#picture,
      make("span", { className: "name", textContent: title(asset) }),
      make("span", { className: "row" }, this.#chip, this.#facts),
    );
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      open(asset.asset_id);
    });
    this.element = make("li", { className: "tile" }, link);
  }

  show(asset) {
    paint(this.#chip, asset);
    this.#facts.textContent = duration(asset.duration_seconds) || kind(asset);
    if (this.#shown === asset.transcode_status) return;
    this.#shown = asset.transcode_status;
    this.#picture.replaceChildren(...pictures(asset));
    if (asset.dominant_color) this.#picture.style.backgroundColor = asset.dominant_color;
  }
}

/** The blurred picture, and over it the real one as soon as it is loaded. */
function pictures(asset) {
  const blurred = asset.placeholder ? canvas(asset.placeholder) : null;
  if (!asset.thumbnail_url) return [make("span", { className: "glyph", ariaHidden: "true", textContent: kind(asset) })];
  const image = make("img", { src: asset.thumbnail_url, alt: "", loading: "lazy", decoding: "async" });
  const pictured = asset.variants.filter((variant) => asset.asset_type === "IMAGE" && variant.width <= 600);
  if (pictured.length) {
    image.sizes = "(min-width: 40rem) 14rem, 45vw";
    image.srcset = pictured.map((variant) => `${variant.url} ${variant.width}w`).join(", ");
  }
  image.addEventListener("load", () => image.classList.add("there"), { once: true });
  return blurred ? [blurred, image] : [image];
}
