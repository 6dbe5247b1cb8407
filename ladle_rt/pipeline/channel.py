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
        put_timeout_s: float | None,
        consumer: str,
        get_timeout_s: float | None,
    ) -> None:
        """
        Args:
            capacity: items it holds before `put` waits or `offer` drops; may be changed later.
            producer: what fills it, for messages: ``"capture"``.
            put_timeout_s: how long the producer waits for room; ``None``: until the end.
            consumer: what empties it, for messages.
            get_timeout_s: how long the consumer waits for an item; ``None``: until the end.
        """
        self._items: deque[T] = deque()
        self.capacity = capacity
        self._producer = producer
        self._put_timeout_s = put_timeout_s
        self._consumer = consumer
        self._get_timeout_s = get_timeout_s
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Append an item, waiting for room.

        Raises:
            ChannelCancelledError: `cancel` was called.
            PipelineError: no room within the bound.
        """
        with self._changed:
            self._wait_for_room()
            self._append(item)

    def offer(self, item: T) -> list[T]:
        """Append an item at once.

        Returns:
            The oldest items, which had to make room.

        Raises:
            ChannelCancelledError: `cancel` was called.
        """
        with self._changed:
            if self._cancelled:
                raise ChannelCancelledError
            given_up = []
            while len(self._items) >= self.capacity:
                given_up.append(self._items.popleft())
            self._append(item)
            return given_up

    def wait_for_room(self) -> None:
        """Return when the next `put` will not wait; for the one producer.

        Raises:
            ChannelCancelledError: `cancel` was called.
            PipelineError: no room within the bound.
        """
        with self._changed:
            self._wait_for_room()

    def get(self) -> T | None:
        """Take the oldest item, waiting for one; ``None`` after the end.

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

    def head(self, wait_s: float) -> tuple[T | None, bool]:
        """The oldest item, left inside, and whether the end was reached.

        Args:
            wait_s: how long to wait for either; then it is ``(None, False)``.

        Raises:
            ChannelCancelledError: `cancel` was called.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._cancelled or bool(self._items) or self._ended, wait_s
            )
            if self._cancelled:
                raise ChannelCancelledError
            if self._items:
                return self._items[0], False
            return None, self._ended

    def take(self) -> T | None:
        """Take the oldest item out without waiting; ``None`` where there is none."""
        with self._changed:
            return self._take()

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

    def _append(self, item: T) -> None:
        self._items.append(item)
        self._changed.notify_all()

    def _take(self) -> T | None:
        if not self._items:
            return None
        item = self._items.popleft()
        self._changed.notify_all()
        return item

    def _wait_for_room(self) -> None:
        self._wait(lambda: len(self._items) < self.capacity, self._put_timeout_s, self._consumer)

    def _wait(self, ready: Callable[[], bool], timeout_s: float | None, other: str) -> None:
        done = self._changed.wait_for(lambda: self._cancelled or ready(), timeout_s)
        if self._cancelled:
            raise ChannelCancelledError
        if not done:
            raise PipelineError(f"{other} did nothing for {timeout_s:g} s; giving up")
