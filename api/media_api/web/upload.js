// Uploads of this tab: ask for a place, PUT the file there, say that it is there. Each is a line with a bar.
// The file goes to object storage itself, by XMLHttpRequest, since fetch does not tell how far an upload is.

import { Refused, announce, confirm } from "./api.js";
import { make, say, size } from "./words.js";

const AT_ONCE = 3;
const BY_EXTENSION = {
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp", gif: "image/gif",
  avif: "image/avif", heic: "image/heic", heif: "image/heif",
  mp4: "video/mp4", m4v: "video/mp4", mov: "video/quicktime", webm: "video/webm", mkv: "video/x-matroska",
  pdf: "application/pdf", zip: "application/zip",
};
const KNOWN = new Set(Object.values(BY_EXTENSION));
const ASSET_TYPES = {
  image: "IMAGE", video: "VIDEO", "application/pdf": "PDF",
  "application/zip": "SCORM", "application/x-zip-compressed": "SCORM",
};
const SET_BY_BROWSERS = new Set(["content-length", "host"]);

/** What a file is announced as; by its extension where the browser's idea of it is none the service knows. */
function announced(file) {
  const extension = file.name.split(".").pop().toLowerCase();
  const type = ASSET_TYPES[file.type] || KNOWN.has(file.type) ? file.type : (BY_EXTENSION[extension] ?? file.type);
  const asset_type = ASSET_TYPES[type] ?? ASSET_TYPES[type.split("/")[0]];
  if (!asset_type) throw new Refused(0, `${file.name} is no image, video, PDF or SCORM package.`);
  return {
    asset_type,
    content_type: type,
    original_filename: file.name.slice(-255),
    ...(file.size ? { size_bytes: file.size } : {}),
  };
}

export class Uploads {
  #list;
  #told;
  #waiting = [];
  #running = 0;

  /** `confirmed(id, alone)` is called for each file that is there, `unauthorized(error)` says whether it was that. */
  constructor(list, told) {
    this.#list = list;
    this.#told = told;
  }

  get busy() {
    return this.#running + this.#waiting.length > 0;
  }

  add(files) {
    for (const file of files) this.#waiting.push(new Transfer(file, this.#list, files.length === 1, () => this.add([file])));
    this.#next();
  }

  #next() {
    while (this.#running < AT_ONCE && this.#waiting.length) {
      this.#running += 1;
      this.#waiting.shift().run(this.#told).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }
}

class Transfer {
  #file;
  #alone;
  #again;
  #over = new AbortController();
  #line;
  #bar;
  #state;
  #button;

  constructor(file, list, alone, again) {
    [this.#file, this.#alone, this.#again] = [file, alone, again];
    this.#bar = make("progress", { max: 100, value: 0 });
    this.#bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.#state = make("p", { className: "dim", textContent: `${size(file.size)} · waiting` });
    this.#button = make("button", { type: "button", className: "quiet", textContent: "Cancel" });
    this.#button.setAttribute("aria-label", `Cancel the upload of ${file.name}`);
    this.#button.addEventListener("click", () => this.#over.abort());
    this.#line = make("li", {}, make("p", { className: "name", textContent: file.name }), this.#button, this.#bar, this.#state);
    list.prepend(this.#line);
  }

  async run({ confirmed, unauthorized }) {
    const { signal } = this.#over;
    try {
      signal.throwIfAborted();
      const place = await announce(announced(this.#file));
      signal.throwIfAborted();
      await put(this.#file, place, signal, (sent) => this.#sent(sent));
      this.#state.textContent = "Checking …";
      await confirm(place.asset_id);
      say(`${this.#file.name} is uploaded.`);
      this.#line.remove();
      confirmed(place.asset_id, this.#alone);
    } catch (error) {
      if (signal.aborted) this.#line.remove();
      else this.#failed(error, unauthorized(error));
    }
  }

  #sent(bytes) {
    this.#bar.value = this.#file.size ? (100 * bytes) / this.#file.size : 100;
    this.#state.textContent = `${size(bytes)} of ${size(this.#file.size)}`;
  }

  #failed(error, knownAlready) {
    this.#line.classList.add("failed");
    this.#bar.remove();
    this.#state.className = "problem";
    this.#state.textContent = error instanceof Refused ? error.message : "The upload failed in this browser.";
    if (!knownAlready) say(`${this.#file.name}: ${this.#state.textContent}`);
    const again = this.#button.cloneNode();
    again.textContent = "Try again";
    again.setAttribute("aria-label", `Try again: upload of ${this.#file.name}`);
    again.addEventListener("click", () => {
      this.#line.remove();
      this.#again();
    });
    this.#button.replaceWith(again);
  }
}

function put(file, place, signal, sent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(place.method, place.upload_url);
    for (const [name, value] of Object.entries(place.required_headers))
      if (!SET_BY_BROWSERS.has(name.toLowerCase())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => sent(event.loaded));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(new Refused(request.status, `Object storage refused the file (status ${request.status}).`));
    });
    request.addEventListener("error", () =>
      reject(new Refused(0, "The upload was interrupted: object storage cannot be reached from this page.")),
    );
    request.addEventListener("abort", () => reject(signal.reason));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}
