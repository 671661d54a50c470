"""A token bucket that can be held shut: how often a service is asked for something that it throttles."""

from __future__ import annotations

LONGEST_PAUSE_SECONDS = 60.0


class TokenBucket:
    """`rate` a second, `burst` at once. Times are those of one clock that only goes forward, in seconds."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._counted = float(burst), 0.0
        self._shut_until, self._refusals = 0.0, 0

    def take(self, now: float) -> bool:
        """Whether there is one, which is then used up."""
        if self.wait(now) > 0:
            return False
        self._tokens -= 1
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is one."""
        self._tokens = min(float(self._burst), self._tokens + max(0.0, now - self._counted) * self._rate)
        self._counted = max(self._counted, now)
        missing = max(0.0, 1.0 - self._tokens) / self._rate
        return max(missing, self._shut_until - now, 0.0)

    def refused(self, now: float) -> None:
        """The service wants fewer: shut for a second, and twice as long each time in a row.

        Calls under way at once are refused at once: all but the first find it shut, and say nothing new.
        """
        if now < self._shut_until:
            return
        self._shut_until = now + min(2.0**self._refusals, LONGEST_PAUSE_SECONDS)
        self._refusals += 1

    def granted(self) -> None:
        """The service took one: the next refusal is the first."""
        self._refusals = 0
