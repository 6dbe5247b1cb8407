"""Keeping a latency: a smaller network before dropped frames, a larger one when there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ladle_rt.errors import ConfigError
from ladle_rt.translate.network_size import Size, work

PATIENCE_S = 0.5
"""The figures must have been bad for so long before a step down."""
CALM_S = 5.0
"""They must have been good for so long before a step up; doubled whenever that was too early."""
LONGEST_CALM_S = 120.0
ROOM = 0.85
"""A step up is tried when the latency it would have, by the work, stays below this share."""


@dataclass(frozen=True, slots=True)
class Move:
    """Another box, and why."""

    size: Size
    reason: str


class LatencyBudget:
    """Decides on the network's box from what was measured; a pure state machine over time."""

    def __init__(self, budget_ms: float, boxes: Sequence[Size], first: Size) -> None:
        """
        Args:
            budget_ms: the 95th percentile of capture to presented should stay below.
            boxes: heights and widths to move between, largest first.
            first: the one of them to begin with.

        Raises:
            ConfigError: a budget that is not positive.
        """
        if not budget_ms > 0:
            raise ConfigError(f"latency budget must be > 0 ms, received {budget_ms:g}")
        self._budget_ms = budget_ms
        self._ladder = tuple(boxes)
        self._step = self._ladder.index(first)
        self._bad_since_s: float | None = None
        self._good_since_s: float | None = None
        self._calm_s = CALM_S
        self._up_at_s: float | None = None
        """When the last step up was made, to see whether it was too early."""

    def update(self, now_s: float, p95_ms: float, overloaded: bool) -> Move | None:
        """Look at the last moments and say whether to change.

        Args:
            now_s: monotonic seconds.
            p95_ms: of the frames since the last change, a second at most.
            overloaded: frames were dropped because newer ones came.
        """
        if p95_ms > self._budget_ms or overloaded:
            self._good_since_s = None
            self._bad_since_s = now_s if self._bad_since_s is None else self._bad_since_s
            if now_s - self._bad_since_s >= PATIENCE_S and self._step + 1 < len(self._ladder):
                return self._down(now_s, p95_ms, overloaded)
            return None
        self._bad_since_s = None
        self._good_since_s = now_s if self._good_since_s is None else self._good_since_s
        calm = now_s - self._good_since_s >= self._calm_s
        if calm and self._step > 0 and p95_ms * self._growth() <= ROOM * self._budget_ms:
            self._step -= 1
            self._up_at_s, self._good_since_s = now_s, None
            return Move(self._ladder[self._step], f"{p95_ms:.0f} ms leave room")
        return None

    def _down(self, now_s: float, p95_ms: float, overloaded: bool) -> Move:
        if self._up_at_s is not None and now_s - self._up_at_s < 2 * CALM_S:
            # The last step up did not hold: wait longer before the next, or it swings for ever.
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)
        self._step += 1
        self._up_at_s, self._bad_since_s = None, None
        why = "frames were dropped" if overloaded else f"{p95_ms:.0f} ms"
        return Move(self._ladder[self._step], f"{why}, budget {self._budget_ms:g} ms")

    def _growth(self) -> float:
        """How much more work the next larger box is."""
        return work(self._ladder[self._step - 1]) / work(self._ladder[self._step])
