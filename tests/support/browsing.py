"""A visit to the player page in a real browser: what is done there, seen there, and complained of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from support.api_site import ALICE, ApiSite, token

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
WATCH_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
SAMPLE = """
() => {
  window.samples = [];
  const look = () => {
    const shown = [...document.querySelectorAll("#viewer video")].find((video) => !video.matches(".coming"));
    if (shown) {
      const at = shown.currentTime, clock = performance.now() / 1000;
      window.samples.push({ at, clock, stream: shown.src.startsWith("blob:"), paused: shown.paused });
    }
  };
  setInterval(look, 15);
}
"""
AXE = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html).join(" | ")}`);
}
"""


@dataclass
class Visit:
    """One tab. `complaints` are errors of the console, of scripts, and violations of the page's policy."""

    page: Page
    api: ApiSite
    shots: Path
    axe: Path
    complaints: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()

    async def enter(self, owner: str = ALICE, query: str = "") -> None:
        """Open the page with a token behind the #, as media-dev prints it."""
        await self.page.goto(f"{self.api.url}/{query}#token={token(owner)}")
        await self.page.get_by_role("heading", name="Upload", exact=True).wait_for()

    async def throttle(self, upload: int) -> None:
        """Let no more bytes a second out of this tab."""
        session = await self.page.context.new_cdp_session(self.page)
        rates = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": upload}
        await session.send("Network.emulateNetworkConditions", rates)

    async def shot(self, name: str) -> None:
        """Keep a picture of what is seen now."""
        self.shots.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    async def barriers(self) -> list[str]:
        """What axe-core finds that keeps people out."""
        await self.page.evaluate(self.axe.read_text(encoding="utf-8"))
        found: list[str] = await self.page.evaluate(AXE)
        return found

    async def film(self, seconds: float = 15.0) -> dict[str, Any]:
        """The video that is shown: where it is and how large its picture."""
        video = self.page.locator("#viewer video:not(.coming)")
        await video.wait_for(timeout=seconds * 1000)
        found: dict[str, Any] = await video.evaluate(
            "(v) => ({at: v.currentTime, paused: v.paused, ended: v.ended, height: v.videoHeight, "
            "rate: v.playbackRate, stream: v.src.startsWith('blob:'), duration: v.duration})"
        )
        return found

    async def until(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until that is true in the page; `video` is the one that is shown."""
        shown = "const video = document.querySelector('#viewer video:not(.coming)');"
        await self.page.wait_for_function(f"() => {{ {shown} return {expression}; }}", timeout=seconds * 1000)

    async def sample(self) -> None:
        """Note from now on, every few milliseconds, where the shown video is."""
        await self.page.evaluate(SAMPLE)

    async def jump(self) -> float:
        """By how many seconds the film was off at most, of what the clock says, when another video took over."""
        # The page may have been asked between the change and the next look.
        await self.page.wait_for_function("() => window.samples.at(-1)?.stream")
        samples = await self.page.evaluate("() => window.samples")
        changes = [(before, after) for before, after in pairwise(samples) if after["stream"] and not before["stream"]]
        assert len(changes) == 1, f"it changed {len(changes)} times"
        before, after = changes[0]
        clock = after["clock"] - before["clock"] if not before["paused"] else 0.0
        return abs(after["at"] - before["at"] - clock)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in self.forgiven):
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")


@asynccontextmanager
async def visit(browser: Browser, api: ApiSite, shots: Path, axe: Path, **how: Any) -> AsyncIterator[Visit]:
    """A tab of its own, with nothing remembered."""
    context: BrowserContext = await browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **how})
    context.set_default_timeout(20_000)
    await context.add_init_script(WATCH_VIOLATIONS)
    page = await context.new_page()
    guest = Visit(page, api, shots, axe)
    page.on("console", guest._heard)
    page.on("pageerror", lambda error: guest.complaints.append(str(error)))
    try:
        yield guest
    finally:
        await context.close()
