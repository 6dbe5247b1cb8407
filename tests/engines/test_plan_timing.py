"""Times that may be compared: graphs, warm, in turns."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.cuda import nvml
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.engines.plan.timing import GraphTimer, medians_in_turns

sys.path.insert(0, str(Path(__file__).parents[1] / "translate" / "cuda"))

from fake_gpu import FakeGpu


class Card:
    """A GPU whose clock rises under load and falls when it gets hot; time passes by running."""

    def __init__(self) -> None:
        self.now_s, self.order = 0.0, ""

    def run(self, name: str, cycles: float) -> float:
        speed = 0.3 if self.now_s < 0.4 else 1.0 if self.now_s < 1.0 else 0.7
        took_ms = cycles / speed
        self.now_s += took_ms / 1e3
        self.order += name
        return took_ms


def test_clocks_that_change_hit_all_alike() -> None:
    card = Card()
    int8, fp16 = medians_in_turns(
        [lambda: card.run("i", 4.0), lambda: card.run("f", 5.0)],
        warm_up_s=0.5,
        clock=lambda: card.now_s,
    )
    assert int8 / fp16 == pytest.approx(0.8)
    assert card.order == "if" * (len(card.order) // 2), "in turns"
    # Cold clocks count for nothing: the first that counted ran after half a second.
    warm_ups = len(card.order) // 2 - 100
    assert warm_ups * (4.0 + 5.0) / 0.3 >= 400
    assert max(int8, fp16) < 5.0 / 0.3


@pytest.mark.parametrize(
    ("fail_at", "replays"),
    [
        (None, True),
        (("begin_capture", 0), False),
        (("end_capture", 0), False),
        (("launch_graph", 0), False),
    ],
)
def test_work_is_timed_as_it_runs(fail_at: Any, replays: bool) -> None:
    gpu, resources = FakeGpu(fail_at=fail_at), ResourceStack()
    gpu.open()
    ran: list[int] = []
    timer = GraphTimer(
        gpu, resources, lambda stream: gpu.enqueue(stream, "work", lambda: ran.append(1))
    )
    assert timer.replays is replays
    assert len(ran) == 1 + replays, "once before it is captured, and the graph once"
    timer()
    assert len(ran) == 2 + replays and gpu.done[-1] == "work"
    tried = fail_at == ("launch_graph", 0)
    assert gpu.calls.count("launch_graph") == (2 if replays else int(tried))
    resources.close()
    assert not any(gpu.live.values()) and not gpu.violations


class Library:
    """``pynvml`` as far as it is called."""

    NVML_DEVICE_MIG_ENABLE = 1

    class NVMLError(Exception):
        pass

    def __init__(self, percent: int = 0, slices: tuple[bytes | str, ...] = ()) -> None:
        self.percent, self.slices, self.asked = percent, slices, ""

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked = uuid
        return "gpu"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self.asked = str(index)
        return "gpu"

    def nvmlDeviceGetUtilizationRates(self, gpu: str) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=self.percent)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: str) -> Any:  # noqa: N802
        return [SimpleNamespace(pid=7)]

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"580.65.06"

    def nvmlDeviceGetMigMode(self, gpu: str) -> tuple[int, int]:  # noqa: N802
        if not self.slices:
            raise self.NVMLError("not supported")
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: str) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: str, index: int) -> int:  # noqa: N802
        if index >= len(self.slices):
            raise self.NVMLError("not found")
        return index

    def nvmlDeviceGetUUID(self, index: int) -> bytes | str:  # noqa: N802
        return self.slices[index]


@pytest.mark.parametrize(
    ("visible", "asked"), [(None, "0"), ("2,3", "2"), ("MIG-ab/1/0", "MIG-ab/1/0"), ("", "0")]
)
def test_who_else_is_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, asked: str
) -> None:
    library = Library(90, (b"MIG-aa", "MIG-bb"))
    monkeypatch.setitem(sys.modules, "pynvml", library)  # type: ignore[arg-type]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert nvml.busy_gpu() == "others use 90 % of the GPU (processes 7)"
    assert library.asked == asked
    assert nvml.driver_release() == "580.65.06"
    assert nvml.mig_slices() == ("MIG-aa", "MIG-bb")
    library.percent, library.slices = 1, ()
    assert nvml.busy_gpu() == "" and nvml.mig_slices() == ()


def test_without_the_library_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.busy_gpu() == nvml.driver_release() == "" and nvml.mig_slices() == ()
