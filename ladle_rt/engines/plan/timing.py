"""Times of work on a GPU that may be compared: replayed graphs, warm clocks, taken in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from ladle_rt.cuda.gpu import Gpu
from ladle_rt.cuda.resources import ResourceStack
from ladle_rt.errors import BackendError

WARM_UP_S = 0.5
"""An idle GPU lowers its clocks, and needs about this long under load to raise them again."""
ROUNDS = 100


class GraphTimer:
    """Device time of one piece of work as it runs live: as a replayed CUDA graph.

    Enqueued piece by piece, a small network is as slow as the host; what a run replays is not.
    Work that cannot be captured is timed as it is, as it would run.

    Args:
        gpu: of this thread.
        resources: gives back what is made here.
        enqueue: puts the work on a stream; has its memory already.
    """

    def __init__(self, gpu: Gpu, resources: ResourceStack, enqueue: Callable[[int], None]) -> None:
        self._gpu, self._enqueue = gpu, enqueue
        self._stream = gpu.create_stream()
        resources.callback(gpu.destroy_stream, self._stream)
        self._start, self._end = (gpu.create_event(timing=True) for _ in range(2))
        for event in (self._start, self._end):
            resources.callback(gpu.destroy_event, event)
        # Kernels are loaded by their first launch, which no capture allows.
        enqueue(self._stream)
        gpu.synchronize_stream(self._stream)
        self._graph = self._capture()
        if self._graph is not None:
            resources.callback(gpu.destroy_graph, self._graph)

    @property
    def replays(self) -> bool:
        """Whether it is timed as a graph."""
        return self._graph is not None

    def __call__(self) -> float:
        """Run once and wait; device time in ms.

        Raises:
            BackendError: the GPU or the work failed.
        """
        gpu, stream = self._gpu, self._stream
        gpu.record_event(self._start, stream)
        if self._graph is None:
            self._enqueue(stream)
        else:
            gpu.launch_graph(self._graph, stream)
        gpu.record_event(self._end, stream)
        gpu.synchronize_event(self._end)
        return gpu.elapsed_ms(self._start, self._end)

    def _capture(self) -> int | None:
        try:
            self._gpu.begin_capture(self._stream)
        except BackendError:
            return None
        try:
            self._enqueue(self._stream)
        except BackendError:
            try:
                self._gpu.destroy_graph(self._gpu.end_capture(self._stream))
            except BackendError:
                return None
            return None
        try:
            graph = self._gpu.end_capture(self._stream)
        except BackendError:
            return None
        try:
            # The driver uploads it at the first launch, and needs memory for that.
            self._gpu.launch_graph(graph, self._stream)
            self._gpu.synchronize_stream(self._stream)
        except BackendError:
            self._gpu.destroy_graph(graph)
            return None
        return graph


def medians_in_turns(
    runs: Sequence[Callable[[], float]],
    *,
    warm_up_s: float = WARM_UP_S,
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.monotonic,
) -> list[float]:
    """Median of each run, taken in turns, so that clocks and temperature that change hit all alike.

    Args:
        runs: each runs once and says how long it took, ms.
        warm_up_s: they run in turns for at least this long before anything counts.
        rounds: times that each is timed.
        clock: seconds.
    """
    begin_s = clock()
    while clock() - begin_s < warm_up_s:
        for run in runs:
            run()
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, times in zip(runs, taken, strict=True):
            times.append(run())
    return [statistics.median(times) for times in taken]
