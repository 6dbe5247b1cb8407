from __future__ import annotations

import threading

from ladle_rt.sources.close_guard import CloseGuard


def test_closes_at_once_what_nobody_uses() -> None:
    closed: list[int] = []
    guard = CloseGuard(lambda: closed.append(1))
    with guard.using():
        pass
    assert not closed
    guard.close()
    assert closed == [1] and guard.closing.is_set()


def test_never_while_it_is_used_and_always_afterwards() -> None:
    closed: list[str] = []
    guard = CloseGuard(lambda: closed.append(threading.current_thread().name))
    inside, leave = threading.Event(), threading.Event()

    def use() -> None:
        with guard.using():
            inside.set()
            assert leave.wait(10)

    user = threading.Thread(target=use, name="user")
    user.start()
    assert inside.wait(10)
    guard.close()
    assert closed == []
    leave.set()
    user.join(10)
    assert closed == ["user"]
