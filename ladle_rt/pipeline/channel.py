"""A bounded queue between two threads that can end, fail and be cancelled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ladle_rt.errors import PipelineError

T = TypeVar("T")


class ChannelCancelledError(Exception):
    """The other side has given up; the thread that sees this ends quietly."""


class Channel(Generic[T]):
    """First in, first out, for one producer and one consumer; every wait is bounded."""

    def __init__(
        self,
        capacity: int,
        *,
        producer: str,
        put_timeout_s: float,
        consumer: str,
        get_timeout_s: float,
    ) -> None:
        """
        Args:
            capacity: items it holds before `put` waits.
            producer: what fills it, for messages: ``"capture"``.
            put_timeout_s: how long the producer waits for room.
            consumer: what empties it, for messages.
            get_timeout_s: how long the consumer waits for an item.
        """
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._producer = producer
        self._put_timeout_s = put_timeout_s
        self._consumer = consumer
        self._get_timeout_s = get_timeout_s
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False

    def put(self, item: T) -> None:
        """Append an item, waiting for room.

        Raises:
            ChannelCancelledError: `cancel` was called.
            PipelineError: no room within the bound.
        """
        with self._changed:
            self._wait(
                lambda: len(self._items) < self._capacity,
                self._put_timeout_s,
                self._consumer,
            )
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T | None:
        """The oldest item, waiting for one; ``None`` after the end.

        Raises:
            ChannelCancelledError: `cancel` was called.
            PipelineError: no item within the bound.
        """
        with self._changed:
            self._wait(
                lambda: bool(self._items) or self._ended,
                self._get_timeout_s,
                self._producer,
            )
            return self._take()

    def poll(self) -> tuple[T | None, bool]:
        """The oldest item without waiting, and whether the end was reached."""
        with self._changed:
            if self._cancelled:
                raise ChannelCancelledError
            return self._take(), self._ended and not self._items

    def end(self) -> None:
        """Say that no more items come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Wake both sides and drop what is inside."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def _take(self) -> T | None:
        if not self._items:
            return None
        item = self._items.popleft()
        self._changed.notify_all()
        return item

    def _wait(self, ready: Callable[[], bool], timeout_s: float, other: str) -> None:
        done = self._changed.wait_for(lambda: self._cancelled or ready(), timeout_s)
        if self._cancelled:
            raise ChannelCancelledError
        if not done:
            raise PipelineError(f"{other} did nothing for {timeout_s:g} s; giving up")
