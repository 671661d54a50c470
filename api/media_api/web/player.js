// The page at /player/<id>: one asset, for anybody, framed by the pages that may.

import { Viewer } from "./viewer.js";

new Viewer(document.getElementById("viewer")).open(location.pathname.split("/").pop());
