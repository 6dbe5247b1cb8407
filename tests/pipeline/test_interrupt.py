from __future__ import annotations

import signal
import threading

import pytest

from ladle_rt.pipeline.interrupt import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_sets_the_event_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
    assert signal.getsignal(number) is before


def test_a_second_interrupt_is_an_interrupt() -> None:
    with stop_on_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_nohup_stays_in_force() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_service_reads_its_configuration_instead() -> None:
    # Under nohup too: nobody hangs up on a service by accident.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        again = threading.Event()
        with stop_on_signals(again) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert again.is_set() and not stop.is_set()
            signal.raise_signal(signal.SIGTERM)
            assert stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
