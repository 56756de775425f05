"""How fast one caller may ask: a token bucket per key."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from service.errors import Problem

_MOST_BUCKETS = 10_000


class RateLimit:
    """Lets a caller make `burst` requests at once and `rate` a second in the long run; rate 0 is no limit.

    Each worker counts alone: give it its share of the rate. `clock` gives seconds, monotonic.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> (tokens, at)

    def take(self, caller: str) -> None:
        """Count one request; raises Problem 429 with Retry-After when the caller has none left."""
        if not self._rate:
            return
        now = self._clock()
        tokens, at = self._buckets.pop(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[caller] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise _too_many(math.ceil((1.0 - tokens) / self._rate))


def _too_many(seconds: int) -> Problem:
    detail = f"this key or address has used up its requests; try again in {seconds} s"
    return Problem(429, "too-many-requests", "Too many requests", detail, {"retry-after": str(seconds)})
