"""What a crowd of viewers may cost, by clocks of our own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ladle_rt.sinks.preview.pace import BYTES_PER_S, CPU_SHARE, LONGEST_S, Pace


class Server:
    """A thread that takes so long of its core for each part, and so many viewers."""

    def __init__(self, viewers: int, cost_s: float, size: int = 1000) -> None:
        self.now_s = self.used_s = 0.0
        self.pace = Pace(600.0, 30.0, lambda: self.used_s, lambda: self.now_s)
        self.cost_s, self.size = cost_s, size
        self._stack = ExitStack()
        for _ in range(viewers):
            self._stack.enter_context(self.pace.watched())

    def run(self, seconds: float) -> tuple[float, float]:
        """Parts for one viewer per second, and the share of the core."""
        parts, begin_s, used_s = self.pace.parts, self.now_s, self.used_s
        while self.now_s < begin_s + seconds:
            for _ in range(self.pace.watching):
                self.pace.sent(self.size)
                self.used_s += self.cost_s
            self.now_s += self.pace.interval_s
        passed_s = self.now_s - begin_s
        each = (self.pace.parts - parts) / self.pace.watching
        return each / passed_s, (self.used_s - used_s) / passed_s


def test_one_viewer_gets_what_a_screen_shows() -> None:
    rate, _ = Server(1, 0.0001).run(10)
    assert rate == pytest.approx(30, rel=0.1)


def test_many_share() -> None:
    rate, _ = Server(100, 0.00001).run(10)
    assert rate == pytest.approx(6, rel=0.1)


def test_large_pictures_go_to_fewer() -> None:
    rate, _ = Server(100, 0.00001, size=1_000_000).run(20)
    assert rate == pytest.approx(BYTES_PER_S / 1e6 / 100, rel=0.1)


@pytest.mark.parametrize("cost_s", [0.0005, 0.002, 0.01])
def test_a_slow_machine_sends_less_instead_of_taking_longer(cost_s: float) -> None:
    server = Server(100, cost_s)
    server.run(40)
    rate, share = server.run(40)
    assert share == pytest.approx(CPU_SHARE, rel=0.3) or rate == pytest.approx(1 / LONGEST_S)
    assert rate >= 1 / LONGEST_S - 0.01


def test_it_recovers() -> None:
    server = Server(100, 0.01)
    slow, _ = server.run(40)
    server.cost_s = 0.00001
    server.run(40)
    assert server.run(10)[0] == pytest.approx(6, rel=0.1) and slow < 1


def test_whoever_leaves_is_not_counted() -> None:
    pace = Pace(10.0)
    with pace.watched(), pace.watched():
        assert pace.interval_s == pytest.approx(0.2)
    assert pace.watching == 0
