// What is said to people: sizes, states, and the one place that a screen reader listens to.

const STATES = { PENDING: "Waiting", PROCESSING: "Processing", COMPLETED: "Ready", FAILED: "Failed" };
const KINDS = { IMAGE: "Image", VIDEO: "Video", PDF: "PDF", SCORM: "SCORM package" };

/** One sentence for those who do not see the page; the same one is not said twice. */
export function say(sentence) {
  const place = document.getElementById("said");
  if (place && place.textContent !== sentence) place.textContent = sentence;
}

export function kind(asset) {
  return KINDS[asset.asset_type] ?? "File";
}

/** Its file's name, for those who may know it. */
export function title(asset) {
  return asset.original_filename || kind(asset);
}

/** A chip with the state, to be put beside something. */
export function chip(asset) {
  const shown = make("span", { className: "chip" });
  paint(shown, asset);
  return shown;
}

export function paint(shown, asset) {
  const percent = asset.progress_percent;
  shown.dataset.state = asset.transcode_status;
  shown.textContent = STATES[asset.transcode_status] + (percent === null ? "" : ` ${percent} %`);
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  const units = ["bytes", "KB", "MB", "GB"];
  const step = bytes < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const number = bytes / 1000 ** step;
  return `${step && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[step]}`;
}

export function duration(seconds) {
  if (!seconds) return "";
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours, ...rest] = parts;
  const shown = hours ? [hours, ...rest] : rest;
  return shown.map((part, at) => (at ? String(part).padStart(2, "0") : String(part))).join(":");
}

/** An element with these properties and children. */
export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
