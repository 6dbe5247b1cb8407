"""Which cases a benchmark has, and why some of them cannot run here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ladle_rt.benchmark.benchmark_report import CaseResult, EngineFile, Status
from ladle_rt.benchmark.benchmark_settings import (
    ENGINES,
    BenchmarkSettings,
    EngineSpec,
    Precision,
)
from ladle_rt.benchmark.intervals import mean_figure, over_rounds, percentile_figures
from ladle_rt.cuda.probe import CudaUnavailableError, probe_cuda
from ladle_rt.errors import ConfigError, LadleError, MissingDependencyError
from ladle_rt.geometry import network_box
from ladle_rt.models.artifact import ModelArtifact, load_artifact
from ladle_rt.translate.network_size import Size

NO_CALIBRATION = "int8 needs a calibration set of this model: --calibration DIR"


@dataclass(slots=True)
class Case:
    """One model in one engine, in one precision, at one size; answers come in by the round."""

    artifact: ModelArtifact
    """What the engine is given: a graph of ``precision`` where it takes one, else fp32's."""
    precision: str
    engine: EngineSpec
    size: Size
    reference: ModelArtifact | None
    """The fp32 model that drift is measured against."""
    best: Size
    """The largest size that the model is used at."""
    name: str
    """The model's, also where its graph was derived."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    refusal: tuple[str, str] | None = None
    """``skipped`` or ``failed``, and why."""
    plan: Path | None = None
    """Folder that holds this case's TensorRT plan alone."""
    file: EngineFile | None = None
    """What the engine loads."""

    def refuse(self, reason: str, status: str = "skipped") -> None:
        """It cannot run."""
        self.refusal = status, reason

    def result(self) -> CaseResult:
        """What is known by now."""
        status, reason = self.refusal or ("measured" if self.answers else "failed", "")
        known = CaseResult(
            model=self.name,
            model_sha256=self.artifact.info.onnx_sha256,
            precision=self.precision,
            backend=self.engine.backend,
            device=self.engine.device,
            size=self.size,
            status=cast(Status, status),
            reason=reason,
            engine=self.file,
        )
        if not self.answers:
            return known
        # What failed in a later round keeps the rounds before it, and the reason.
        samples = {
            name: [answer["samples_ms"][name] for answer in self.answers]
            for name in ("idle", "saturated")
        }
        figures = {
            f"{name}_{quantile}_ms": figure
            for name, rounds in samples.items()
            for quantile, figure in percentile_figures(rounds).items()
        }
        names = dict.fromkeys(name for answer in self.answers for name in answer["figures"])
        figures |= {
            name: over_rounds([a["figures"][name] for a in self.answers if name in a["figures"]])
            for name in names
        }
        if self.file is not None:
            figures |= self.file.figures()
        first = self.answers[0]
        figures |= {name: mean_figure(values) for name, values in first["quality"].items()}
        stages = {
            stage: percentile_figures([answer["stages_ms"][stage] for answer in self.answers])
            for stage in first["stages_ms"]
        }
        return replace(
            known,
            rounds=len(self.answers),
            figures=figures,
            stages_ms=stages,
            samples_ms=samples,
            drift_by_frame=first["quality"].get("drift_mean_abs", []),
            telemetry=_telemetry(self.answers),
            sample_jpeg=first["sample_jpeg"],
        )


def make_cases(
    settings: BenchmarkSettings,
    folder: Path,
    notify: Callable[[str], object],
    gpu_reason: Callable[[], str | None] | None = None,
) -> list[Case]:
    """Every combination; what cannot run is there with the reason.

    Args:
        settings: what to measure.
        folder: where derived graphs are put.
        notify: told what takes time.
        gpu_reason: why no GPU can be used, ``None`` where one can.

    Raises:
        ModelError: a model that cannot be used.
        ConfigError: two models of one name and precision.
    """
    opened = {model: load_artifact(model) for model in settings.models}
    names = Counter((one.info.name, one.info.precision) for one in opened.values())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigError(
            f"expected models that differ in name or precision, received {twice[0][0]!r} "
            f"({twice[0][1]}) twice"
        )
    fp32 = {one.info.onnx_sha256: one for one in opened.values() if one.info.precision == "fp32"}
    no_gpu = (gpu_reason or why_no_gpu)()
    graphs = _Graphs(settings.calibration, folder, notify)
    cases = []
    for artifact in opened.values():
        # A derived graph is measured against the one it was made from, where that was given too.
        origin = artifact.info.derivation.get("from_sha256", artifact.info.onnx_sha256)
        sizes, best = _sizes(artifact, settings)
        for size in sizes:
            for engine in ENGINES:
                if engine.backend not in settings.backends:
                    continue
                for precision in _precisions(artifact, engine, settings):
                    case = Case(
                        artifact,
                        precision,
                        engine,
                        size,
                        fp32.get(origin),
                        best,
                        artifact.info.name,
                    )
                    _ready(case, no_gpu, graphs)
                    cases.append(case)
    return cases


def why_no_gpu() -> str | None:
    """The reason in words, or ``None``."""
    try:
        devices = probe_cuda()
    except CudaUnavailableError as error:
        return f"no NVIDIA GPU to use: {error}"
    return None if devices else "no NVIDIA GPU to use: the driver shows none"


class _Graphs:
    """Graphs of a precision, made once; a reason where one cannot be made."""

    def __init__(
        self, calibration: Path | None, folder: Path, notify: Callable[[str], object]
    ) -> None:
        self._calibration, self._folder, self._notify = calibration, folder, notify
        self._made: dict[tuple[str, str], ModelArtifact | str] = {}

    def get(self, source: ModelArtifact, precision: Precision) -> ModelArtifact | str:
        if precision == "int8" and self._calibration is None:
            return NO_CALIBRATION
        key = source.info.onnx_sha256, precision
        if key not in self._made:
            try:
                self._made[key] = self._make(source, precision)
            except LadleError as error:
                self._made[key] = str(error)
        return self._made[key]

    def _make(self, source: ModelArtifact, precision: Precision) -> ModelArtifact | str:
        try:
            from ladle_rt.engines.select_precision import select_precision
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"{precision} graphs need {error.name}; pip install 'ladle-rt[engines]'"
            ) from None
        made = select_precision(
            source.onnx_path, precision, self._calibration, self._folder, self._notify
        )
        return made.artifact if made.precision == precision else made.reason


def _precisions(
    artifact: ModelArtifact, engine: EngineSpec, settings: BenchmarkSettings
) -> Iterator[Precision]:
    own = artifact.info.precision
    if own != "fp32":
        # A graph that is of lower precision already is that, in every engine.
        yield cast(Precision, own)
    elif settings.precisions:
        yield from (one for one in engine.precisions if one in settings.precisions)
    else:
        yield from engine.precisions[:1] if settings.quick else engine.precisions


def _ready(case: Case, no_gpu: str | None, graphs: _Graphs) -> None:
    """Give a case what it runs, or the reason why it does not."""
    info, engine = case.artifact.info, case.engine
    if engine.device == "cuda" and no_gpu is not None:
        case.refuse(no_gpu)
        return
    if not engine.takes_graph:
        if info.precision != "fp32":
            case.refuse(
                f"{engine.backend} makes its own engine of the fp32 model; name that one and "
                f"--precision {info.precision}"
            )
        elif case.precision == "int8" and graphs.get(case.artifact, "int8") == NO_CALIBRATION:
            case.refuse(NO_CALIBRATION)
    elif case.precision != info.precision:
        made = graphs.get(case.artifact, cast(Precision, case.precision))
        if isinstance(made, str):
            case.refuse(made)
            return
        case.artifact = made
    path = case.artifact.onnx_path
    weights = path if engine.backend != "torch" else path.with_suffix(".safetensors")
    if weights.is_file() and engine.backend != "tensorrt":
        case.file = EngineFile.of(weights)


def _sizes(artifact: ModelArtifact, settings: BenchmarkSettings) -> tuple[list[Size], Size]:
    """The sizes of its cases, and the largest that the model is used at."""
    info = artifact.info
    qualities: tuple[Any, ...] = ("fast", "balanced", "best") if info.look != "none" else ("fast",)
    named = [
        network_box(settings.frame_size, info.train_size, info.size_multiple, quality)
        for quality in qualities
    ]
    used = named[:2] if settings.quick else named
    return list(dict.fromkeys(settings.sizes or used)), named[-1]


def _telemetry(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all rounds together."""
    each = [answer["telemetry"] for answer in answers]
    known = [one["throttled"] for one in each if one["throttled"] is not None]
    return {
        "throttled": any(known) if known else None,
        "reasons": sorted({reason for one in each for reason in one["reasons"]}),
        "sources": sorted({name for one in each for name in one["sources"]}),
    }
