// The page at /: who is signed in, what is uploaded, what there is, and the one asset that is open.
// The open asset is in the address (?asset=<id>), so that a reload or a link leads back to it.

import { Refused } from "./api.js";
import { Gallery } from "./gallery.js";
import * as session from "./session.js";
import { Uploads } from "./upload.js";
import { Viewer } from "./viewer.js";
import { say } from "./words.js";

const element = (id) => document.getElementById(id);

session.begin();
const viewer = new Viewer(element("viewer"), { close: () => go(null), gone, changed: () => gallery.refresh() });
const gallery = new Gallery(element("gallery"), { address, open: go, unauthorized });
const uploads = new Uploads(element("transfers"), { confirmed, unauthorized });

element("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  session.enter(element("token").value);
  element("token").value = "";
  element("signin-problem").textContent = "";
  show();
});
element("leave").addEventListener("click", () => {
  session.leave();
  viewer.open(null);
  show();
});
element("home").addEventListener("click", (event) => {
  event.preventDefault();
  go(null);
});
element("more").addEventListener("click", () => gallery.more());
element("files").addEventListener("change", (event) => {
  uploads.add([...event.target.files]);
  event.target.value = "";
});
window.addEventListener("popstate", show);
window.addEventListener("beforeunload", (event) => {
  if (uploads.busy) event.preventDefault();
});
window.addEventListener("hashchange", () => {
  if (session.begin()) show();
});
droppable(element("drop"));
show();

function show() {
  const owner = session.owner();
  const id = new URLSearchParams(location.search).get("asset");
  element("signin").hidden = owner !== null || id !== null;
  element("mine").hidden = owner === null;
  element("who").hidden = element("leave").hidden = owner === null;
  element("who").textContent = owner === null ? "" : owner;
  if (owner === null) gallery.stop();
  else gallery.start();
  viewer.open(id);
}

function address(id) {
  const query = new URLSearchParams(location.search);
  if (id === null) query.delete("asset");
  else query.set("asset", id);
  return query.size ? `/?${query}` : "/";
}

function go(id) {
  history.pushState(null, "", address(id));
  show();
  if (id === null) element("home").focus();
  else viewer.focus();
}

function confirmed(id, alone) {
  gallery.refresh();
  if (alone && !new URLSearchParams(location.search).has("asset")) go(id);
}

function gone() {
  go(null);
  gallery.refresh();
}

function unauthorized(refused) {
  if (!(refused instanceof Refused) || refused.status !== 401) return false;
  session.leave();
  show();
  element("signin").hidden = false;
  element("signin-problem").textContent = refused.message;
  element("token").focus();
  return true;
}

function droppable(zone) {
  let depth = 0;
  const carriesFiles = (event) => session.owner() !== null && event.dataTransfer?.types.includes("Files");
  const mark = (change) => zone.classList.toggle("over", (depth = change) > 0);
  document.addEventListener("dragenter", (event) => carriesFiles(event) && mark(depth + 1));
  document.addEventListener("dragleave", (event) => carriesFiles(event) && mark(depth - 1));
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(0);
    uploads.add([...event.dataTransfer.files]);
    say(`${event.dataTransfer.files.length} files taken.`);
  });
}
