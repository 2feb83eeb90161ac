"""How fast counters grow: their last seconds, kept by whoever watches, forgotten with it.

Reads no clock. A counter that falls starts anew, as one does that was not seen for a window.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW_S = 10.0
LEAST_S = 1.0
SAMPLES_MAX = 64

Key = TypeVar("Key")


class Rates(Generic[Key]):
    """Rates over `window_s`; at most 64 samples a counter.

    Samples closer than a sixty-fourth of the window are merged, so it is always covered.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        """Start with nothing known."""
        self._window_s = window_s
        self._samples: dict[Key, deque[tuple[float, float]]] = {}

    def note(self, now_s: float, counters: Mapping[Key, float]) -> None:
        """Remember the counters at `now_s` (any clock that never goes back)."""
        for key, value in counters.items():
            samples = self._samples.setdefault(key, deque(maxlen=SAMPLES_MAX))
            if samples and value < samples[-1][1]:
                samples.clear()
            if len(samples) > 1 and now_s - samples[-2][0] < self._window_s / SAMPLES_MAX:
                samples.pop()
            samples.append((now_s, value))
            # One sample from before the window stays: it is the window's start.
            while len(samples) > 2 and samples[1][0] <= now_s - self._window_s:
                samples.popleft()
        old = [key for key, seen in self._samples.items() if seen[-1][0] < now_s - self._window_s]
        for key in old:
            del self._samples[key]

    def per_s(self, key: Key, least_s: float = LEAST_S) -> float | None:
        """Return how much a counter grew a second, None until it has been seen for so long."""
        samples = self._samples.get(key)
        if not samples or samples[-1][0] - samples[0][0] < least_s:
            return None
        return (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])

    def grew(self, key: Key) -> bool:
        """Tell whether a counter grew within the window."""
        samples = self._samples.get(key)
        return samples is not None and samples[-1][1] > samples[0][1]
