"""Mutated inputs at every entrance: no hang, no crash, no traceback, bounded memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from fuzz import NAMES, SEED
from fuzz_mutate import mutate_bytes, mutate_text
from fuzz_workers import Worker, case_data, fuzz, judge

from ladle_rt.errors import InputError

QUICK = {"image": 300, "video": 200, "sdp": 40, "json": 400, "toml": 300, "onnx": 300, "http": 100}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker(SEED)
    yield made
    made.end()


@pytest.mark.parametrize("name", NAMES)
def test_a_few(worker: Worker, name: str) -> None:
    tally = fuzz(worker, name, range(QUICK[name]))
    assert tally.faults == []
    assert sum(tally.outcomes.values()) == QUICK[name]
    # Nothing but refusals would say that nothing behind the first check was reached; of an SDP
    # nobody sends anything.
    assert tally.outcomes["read"] > 0 or name == "sdp"
    assert tally.outcomes["refused"] > QUICK[name] // 10


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(3600)
def test_ten_thousand(worker: Worker, name: str) -> None:
    assert fuzz(worker, name, range(10_000)).faults == []


class Fake:
    """An entrance that does what its input says."""

    name = "fake"

    def __init__(self) -> None:
        self.seeds = [("a.bin", bytes(range(200)) * 3)]

    def mutate(self, seed: bytes, chance: random.Random) -> bytes:
        return mutate_bytes(seed, chance)

    def read(self, name: str, data: bytes) -> None:
        if data == b"bug":
            raise KeyError("x")
        if data == b"lines":
            raise InputError("one\ntwo")
        if data == b"no":
            raise InputError("no")


def test_what_counts_as_a_fault() -> None:
    found = [judge(Fake(), "a", data)[0] for data in (b"", b"no", b"lines", b"bug")]
    assert found == ["read", "refused", "bug", "bug"]


def test_a_case_can_be_made_again() -> None:
    cases = [case_data(Fake(), 1, number) for number in range(40)]
    assert cases == [case_data(Fake(), 1, number) for number in range(40)]
    assert len({data for _, data in cases}) > 20
    assert cases != [case_data(Fake(), 2, number) for number in range(40)]


@pytest.mark.parametrize("mutate", [mutate_bytes, mutate_text])
def test_mutants_differ_and_an_empty_seed_stays_usable(mutate: Any) -> None:
    seed = b'{"a": [1, 2.5, true], "b": "text"}' * 4
    made = {mutate(seed, random.Random(number)) for number in range(100)}
    assert len(made) > 80
    assert isinstance(mutate(b"", random.Random(1)), bytes)
