"""ONNX graph to TensorRT plan. Needs no GPU with TensorRT-RTX, and never a Runtime."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ladle_rt.cuda.tensorrt_edition import TensorRT
from ladle_rt.engines.plan.lock import locked
from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.errors import BackendError, OutputError
from ladle_rt.files import write_whole
from ladle_rt.models.artifact import INPUT_NAME, OUTPUT_NAME, ModelArtifact

Progress = Callable[[str, float], object]
"""Called with the builder's phase and how far that phase is, 0 to 1."""
told = logging.getLogger("ladle_rt.engine")
_KEPT_MESSAGES = 3


@dataclass(frozen=True, slots=True)
class Built:
    """A plan in memory."""

    plan: bytes
    seconds: float
    """Time the builder took."""


def build_plan(
    artifact: ModelArtifact,
    settings: BuildSettings,
    tensorrt: TensorRT,
    progress: Progress | None = None,
    log: Path | None = None,
    timings: Path | None = None,
) -> Built:
    """Build a plan in the precision of the graph.

    Args:
        artifact: graph with strongly typed precision: fp32, fp16 or int8 with explicit Q/DQ.
        settings: profiles, targets and limits.
        tensorrt: who builds.
        progress: told about every finished step; may raise to stop the build.
        log: file to which everything that TensorRT says is added.
        timings: where kernel times are kept if the settings name no file.

    Raises:
        ConfigError: settings that the model or this TensorRT cannot serve.
        BackendError: TensorRT refused the graph or could not build it; with its own words.
        OutputError: the log or the timing cache cannot be written.
    """
    settings = settings.for_model(artifact.info)
    with _opened(log) as stream:
        try:
            return _build(artifact, settings, tensorrt, progress, stream, timings)
        except BaseException as error:
            # TensorRT holds a lock while it logs. Were the failed build's objects left to the
            # garbage collector, one that begins in a later build's logger would free them there;
            # their destructors take the same lock, and wait for ever.
            traceback.clear_frames(error.__traceback__)
            raise


def _build(
    artifact: ModelArtifact,
    settings: BuildSettings,
    tensorrt: TensorRT,
    progress: Progress | None,
    stream: TextIO | None,
    timings: Path | None,
) -> Built:
    trt = tensorrt.module
    messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
    logger = _make_logger(trt, messages, stream)
    builder = trt.Builder(logger)
    if builder is None:
        raise BackendError(f"TensorRT could not start: {_words(messages)}")
    network = tensorrt.create_network(builder)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(artifact.onnx_path.read_bytes()):
        raise BackendError(f"{artifact.onnx_path}: {_parser_words(parser, messages)}")
    _keep_picture_alone(network)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.builder_optimization_level = settings.optimization_level
    tensorrt.set_flags(config)
    if settings.targets:
        tensorrt.set_targets(config, settings.targets)
    if settings.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
    if settings.dla is not None:
        tensorrt.use_dla(builder, config, settings.dla, artifact.info.precision)
    for smallest, best, largest in settings.profiles():
        profile = builder.create_optimization_profile()
        profile.set_shape(INPUT_NAME, smallest, best, largest)
        config.add_optimization_profile(profile)
    times = settings.timing_cache or timings
    if times is not None:
        tensorrt.set_timing_cache(config, times, own=settings.timing_cache is None)
    with _held_interrupt() as interrupt:
        monitor = _make_monitor(trt, progress, interrupt)
        config.progress_monitor = monitor
        start = time.monotonic()
        serialized = builder.build_serialized_network(network, config)
        seconds = time.monotonic() - start
    if interrupt.is_set():
        raise KeyboardInterrupt
    if monitor.stopped_by is not None:
        raise monitor.stopped_by
    if serialized is None:
        raise BackendError(_explain(messages))
    if settings.timing_cache is not None:
        _save_timings(config, settings.timing_cache)
    elif timings is not None:
        try:
            Path(timings).parent.mkdir(parents=True, exist_ok=True)
            _save_timings(config, timings)
        except (OutputError, OSError) as error:
            # Nobody asked for them, and the plan is there.
            told.warning("kernel times are not kept: %s", error)
    return Built(bytes(serialized), seconds)


def _keep_picture_alone(network: Any) -> None:
    """Unmark a second output, so that what only it needs is left out."""
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    for tensor in outputs:
        if tensor.name != OUTPUT_NAME:
            network.unmark_output(tensor)


def _explain(messages: deque[str]) -> str:
    words = _words(messages)
    hint = "run with --verbose LOG for all of it"
    lower = words.lower()
    if "within workspace limit" in lower:
        hint = "raise --workspace or leave it out"
    elif "out of memory" in lower or "outofmemory" in lower or "cudaerror 2:" in lower:
        hint = "free device memory, or build smaller: fewer --size, a lower --workspace"
    return f"TensorRT could not build the plan: {words}; {hint}"


def _words(messages: deque[str]) -> str:
    """The last errors on one line."""
    if not messages:
        return "it gave no reason"
    return " | ".join(" ".join(message.split()) for message in messages)


def _parser_words(parser: Any, messages: deque[str]) -> str:
    if not parser.num_errors:
        return f"TensorRT's parser refuses the graph: {_words(messages)}"
    complaint = parser.get_error(0)
    # Some descriptions are the failed check alone ("false"): the code and place say more.
    place = f"{complaint.node_operator() or 'graph'} {complaint.node_name()!r}"
    words = " ".join(complaint.desc().split())
    code = str(complaint.code()).rpartition(".")[2]
    return f"TensorRT's parser refuses the graph: {code} at {place}: {words} ({complaint.func()})"


def _save_timings(config: Any, path: Path) -> None:
    """Add what was measured to the file; another build may have added to it meanwhile."""
    timings = config.get_timing_cache()
    with locked(path.with_name(f".{path.name}.lock"), lambda: None):
        if path.is_file():
            timings.combine(config.create_timing_cache(path.read_bytes()), False)
        data = bytes(timings.serialize())
        write_whole(path, lambda target: target.write_bytes(data))


@contextlib.contextmanager
def _opened(log: Path | None) -> Iterator[TextIO | None]:
    if log is None:
        yield None
        return
    try:
        stream = log.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{log}: cannot be written ({error.strerror or error})") from error
    with stream:
        yield stream


def _make_logger(trt: Any, errors: deque[str], stream: TextIO | None) -> Any:
    """A logger that keeps the last errors and copies everything to ``stream``."""
    kept = (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11: super() does not construct the C++ half

        def log(self, severity: Any, message: str) -> None:
            if severity in kept:
                errors.append(message)
            if stream is not None:
                with contextlib.suppress(OSError):  # a full disk must not end in C++
                    stream.write(f"{severity.name}: {message}\n")

    return Logger()


@contextlib.contextmanager
def _held_interrupt() -> Iterator[threading.Event]:
    """Note Ctrl-C in an event: as an exception it would be lost in TensorRT's C++."""
    interrupt = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt  # Ctrl-C goes to the main thread
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupt.set())
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def _make_monitor(trt: Any, progress: Progress | None, interrupt: threading.Event) -> Any:
    """Passes the builder's progress on; Ctrl-C or an exception in ``progress`` stops the build."""
    steps: dict[str, int] = {}

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped_by: Exception | None = None

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            steps[phase] = num_steps

        def phase_finish(self, phase: str) -> None:
            steps.pop(phase, None)

        def step_complete(self, phase: str, step: int) -> bool:
            try:
                if progress is not None:
                    progress(phase, min(1.0, (step + 1) / max(1, steps.get(phase, 1))))
            except Exception as error:  # raised again when TensorRT has let go
                self.stopped_by = error
            return self.stopped_by is None and not interrupt.is_set()

    return Monitor()
