"""Feeds one entrance after another with mutated inputs, in a process that may hang or die.

The parent names cases by number and a worker makes them from the seed, so that a case can be
made again alone: ``python benchmarks/fuzz.py --entrance image --case 4711``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import multiprocessing
import os
import random
import resource
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

START_S = 180.0
"""Until a worker has loaded its libraries and made its seeds."""
CASE_S = 120.0
"""A case that takes longer hangs. The largest picture takes 6 s of a core, on a machine that may be
shared by many."""
ADDRESSES = 12 << 30
"""Bytes of address space of a worker, libraries among them."""
GROWTH_MB = 1536
"""What a case may add to the largest memory of its worker: the largest picture that is read has 50
megapixels, of about 20 bytes each where it is 16-bit RGBA."""
LONGEST_MESSAGE = 1500


@dataclass
class Tally:
    """What became of the cases of one entrance."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """``read``, ``refused``, or a fault: ``bug``, ``hang``, ``crash``, ``memory``."""
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    """Number, kind and what was said."""
    slowest: tuple[float, int] = (0.0, -1)
    """CPU seconds, and of which case."""
    growth_mb: float = 0.0
    """How far the worker's largest memory rose above that at its start."""

    def facts(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "cases": sum(self.outcomes.values()),
            **dict(sorted(self.outcomes.items())),
            "slowest_cpu_s": round(self.slowest[0], 2),
            "memory_growth_mb": round(self.growth_mb),
            "faults": [f"{number}: {kind}: {said}" for number, kind, said in self.faults[:20]],
        }


def case_data(entrance: Any, seed: int, number: int) -> tuple[str, bytes]:
    """Name and bytes of a case; the same for the same numbers."""
    chance = random.Random(f"{seed}:{entrance.name}:{number}")
    name, data = chance.choice(entrance.seeds)
    # One in fifty as it is: an entrance that refuses everything tests nothing.
    return name, data if chance.random() < 0.02 else entrance.mutate(data, chance)


def open_entrance(name: str, folder: Path) -> Any:
    """An entrance of `fuzz_entrances`, with its seeds made."""
    return importlib.import_module("fuzz_entrances").ENTRANCES[name](folder)


def judge(entrance: Any, name: str, data: bytes) -> tuple[str, str]:
    """Outcome of a case, and what to say of it where it is a fault."""
    from ladle_rt.errors import LadleError

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            entrance.read(name, data)
    except LadleError as error:
        message = str(error)
        if "\n" in message or len(message) > LONGEST_MESSAGE:
            return "bug", f"no single short line: {message[:200]!r}"
        outcome = "refused"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return "bug", f"{type(error).__name__}: {str(error)[:300]} ({where})"
    else:
        outcome = "read"
    if "Traceback" in said.getvalue():
        return "bug", said.getvalue()[-300:]
    return outcome, ""


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _work(seed: int, pipe: Connection) -> None:
    logging.disable(logging.CRITICAL)
    # Decoders in C say of every damaged file what they think of it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    opened: dict[str, tuple[Any, float]] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        while (asked := pipe.recv()) is not None:
            name, number = asked
            if number is None:
                (Path(folder) / name).mkdir()
                entrance = open_entrance(name, Path(folder) / name)
                resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
                # What a first case loads is not growth.
                judge(entrance, *entrance.seeds[0])
                opened[name] = entrance, _peak_mb()
                pipe.send("ready")
                continue
            entrance, start_mb = opened[name]
            case_name, data = case_data(entrance, seed, number)
            before_mb, begin_s = _peak_mb(), time.process_time()
            kind, said = judge(entrance, case_name, data)
            taken_s, grown_mb = time.process_time() - begin_s, _peak_mb() - before_mb
            if grown_mb > GROWTH_MB:
                kind, said = "memory", f"{grown_mb:.0f} MB for {len(data)} bytes of {case_name}"
            pipe.send((kind, said, taken_s, _peak_mb() - start_mb))
        for entrance, _ in opened.values():
            entrance.close()


class Worker:
    """A process that reads cases, replaced when one of them hangs or kills it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._opened: set[str] = set()
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self.seed, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._opened.clear()

    def ask(self, name: str, number: int) -> tuple[str, str, float, float]:
        """Outcome of a case, what was said, CPU seconds, and growth in MB since the first."""
        if name not in self._opened:
            self._pipe.send((name, None))
            if not self._pipe.poll(START_S) or self._pipe.recv() != "ready":
                raise RuntimeError(f"the entrance {name} does not open")
            self._opened.add(name)
        try:
            self._pipe.send((name, number))
            if self._pipe.poll(CASE_S):
                answer: tuple[str, str, float, float] = self._pipe.recv()
                return answer
            kind, said, taken_s = "hang", f"no answer within {CASE_S:g} s", CASE_S
        except (EOFError, OSError):
            self._process.join(5)
            kind, said, taken_s = "crash", f"the process ended with {self._process.exitcode}", 0.0
        self.end()
        self._start()
        return kind, said, taken_s, 0.0

    def end(self) -> None:
        """End the process, and what it started, whatever they do."""
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(2)
        if self._process.is_alive() and self._process.pid is not None:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
            self._process.join()


def fuzz(worker: Worker, name: str, cases: range, limit_s: float | None = None) -> Tally:
    """Feed an entrance.

    Args:
        worker: reads; its seed decides with the number about each case.
        name: of the entrance.
        cases: numbers.
        limit_s: stop after so long, with the cases so far.
    """
    tally, begin_s = Tally(), time.monotonic()
    for number in cases:
        kind, said, taken_s, growth_mb = worker.ask(name, number)
        tally.outcomes[kind] += 1
        tally.slowest = max(tally.slowest, (taken_s, number))
        tally.growth_mb = max(tally.growth_mb, growth_mb)
        if kind not in ("read", "refused"):
            tally.faults.append((number, kind, said))
        if limit_s is not None and time.monotonic() - begin_s > limit_s:
            break
    return tally
