"""A model as Triton Inference Server loads it: a folder of versions under one configuration.

    DIR/NAME/config.pbtxt       written with NVIDIA's own protobuf
    DIR/NAME/1/model.onnx       or model.plan, and model.json with the facts

A version that lies there is never touched: exporting again adds the next one, and the server takes
it up by its version policy. `tritonclient` brings the protobuf (extra ``triton``).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ladle_rt.engines.plan.cache import inspect_plan
from ladle_rt.engines.plan.manifest import manifest_path
from ladle_rt.engines.plan.settings import MOST_BATCH
from ladle_rt.errors import ConfigError, ModelError, OutputError, require
from ladle_rt.files import temporary_folder, write_whole
from ladle_rt.models.artifact import (
    CLASSES_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    ModelArtifact,
    file_sha256,
    file_stem,
)

QUEUE_DELAY_US = 2000
"""How long a frame may wait for others: little beside the network, enough for cameras in step."""
QUEUE_TIMEOUT_US = 10_000_000
"""After which a frame that waits is refused; clients bring their own deadline."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a repository needs to know of a model."""

    name: str
    """As clients ask for it."""
    backend: str
    """Triton's: ``onnxruntime`` or ``tensorrt``."""
    file: Path
    facts: Path
    """JSON beside it."""
    outputs: tuple[tuple[str, int], ...]
    """Names and channels."""
    size: tuple[int, int]
    """Height and width of the first frames that it is warmed up with."""
    max_batch: int
    """Frames in a run."""
    profiles: int = 0
    """Of a plan: how many; each is for other sizes."""

    @property
    def file_name(self) -> str:
        """As Triton expects it within a version."""
        return "model.plan" if self.backend == "tensorrt" else "model.onnx"


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """Where a model lies now."""

    folder: Path
    version: int
    new: bool
    """Whether it was not there before."""


def served_onnx(artifact: ModelArtifact, max_batch: int) -> ServedModel:
    """A graph, for ONNX Runtime in the server.

    Raises:
        ConfigError: a batch that no frame or too many fit in.
        ModelError: a border that is not float32.
        MissingDependencyError: onnx is not installed.
    """
    _check_batch(max_batch)
    _check_border(artifact.onnx_path, artifact.info.derivation)
    onnx: Any = require("onnx", "engines")
    graph = onnx.load(str(artifact.onnx_path), load_external_data=False).graph
    outputs = tuple(
        (one.name, one.type.tensor_type.shape.dim[1].dim_value)
        for one in graph.output
        if one.name in (OUTPUT_NAME, CLASSES_NAME)
    )
    path, info = artifact.onnx_path, artifact.info
    facts = path.with_suffix(".json")
    name = file_stem(info.name)
    return ServedModel(name, "onnxruntime", path, facts, outputs, info.train_size, max_batch)


def served_plan(path: Path, max_batch: int | None = None) -> ServedModel:
    """A plan of `ladle-rt build-engine`, for TensorRT of the same version in the server.

    Raises:
        InputError: no such plan.
        ModelError: a damaged plan, one of TensorRT-RTX, or a border that is not float32.
        ConfigError: larger batches than the plan takes.
    """
    entry = inspect_plan(path)
    manifest = entry.manifest
    if entry.problem or manifest is None:
        raise ModelError(f"{path}: expected a plan of `ladle-rt build-engine`: {entry.problem}")
    if manifest.flavour != "tensorrt":
        raise ModelError(
            f"{path}: expected a plan of TensorRT, received one of {manifest.flavour}, which "
            "Triton does not load; leave --plan out to serve the ONNX graph"
        )
    _check_border(path, manifest.model.get("derivation", {}))
    most = min(int(largest[0]) for _, _, largest in manifest.profiles)
    if max_batch is not None and max_batch > most:
        raise ConfigError(
            f"max-batch {max_batch}: this plan takes {most}; build one with "
            f"`ladle-rt build-engine --batch {max_batch}`"
        )
    batch = max_batch or most
    _check_batch(batch)
    height, width = manifest.profiles[0][1][2:]
    return ServedModel(
        file_stem(manifest.name),
        "tensorrt",
        path,
        manifest_path(path),
        ((OUTPUT_NAME, 3),),
        (int(height), int(width)),
        batch,
        len(manifest.profiles),
    )


def model_config(model: ServedModel) -> str:
    """The text of ``config.pbtxt``.

    Raises:
        MissingDependencyError: tritonclient is not installed.
    """
    require("grpc", "triton")
    pb: Any = require("tritonclient.grpc.model_config_pb2", "triton")
    text_format: Any = require("google.protobuf.text_format", "triton")
    config = pb.ModelConfig(name=model.name, backend=model.backend, max_batch_size=model.max_batch)
    config.input.add(name=INPUT_NAME, data_type=pb.TYPE_FP32, dims=[1, -1, -1])
    for name, channels in model.outputs:
        config.output.add(name=name, data_type=pb.TYPE_FP32, dims=[channels, -1, -1])
    config.version_policy.latest.num_versions = 1
    batching = config.dynamic_batching
    batching.max_queue_delay_microseconds = QUEUE_DELAY_US
    queue = batching.default_queue_policy
    queue.timeout_action = pb.ModelQueuePolicy.REJECT
    queue.default_timeout_microseconds = QUEUE_TIMEOUT_US
    queue.allow_timeout_override = True
    for count in sorted({1, model.max_batch}):
        warmup = config.model_warmup.add(name=f"batch-{count}", batch_size=count)
        frame = warmup.inputs[INPUT_NAME]
        frame.data_type, frame.zero_data = pb.TYPE_FP32, True
        frame.dims.extend((1, *model.size))
    if model.profiles:
        profiles = [str(number) for number in range(model.profiles)]
        config.instance_group.add(kind=pb.ModelInstanceGroup.KIND_GPU, count=1, profile=profiles)
    text: str = text_format.MessageToString(config)
    return text


def publish_model(model: ServedModel, repository: Path, overwrite: bool = False) -> PublishedModel:
    """Put a model into a repository, as its newest version.

    Args:
        model: what to put there.
        repository: folder of models; made if missing.
        overwrite: replace a configuration that says something else, for example because somebody
            edited it.

    Raises:
        OutputError: nothing can be written, or another configuration lies there.
        MissingDependencyError: tritonclient is not installed.
    """
    text = model_config(model)
    home = repository / model.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        versions = sorted(int(one.name) for one in home.iterdir() if _is_version(one))
    except OSError as error:
        raise OutputError(f"{home}: cannot be made ({error.strerror or error})") from error
    _write_config(home / "config.pbtxt", text, overwrite)
    newest = home / str(versions[-1]) if versions else None
    if newest is not None and _same(newest / model.file_name, model.file):
        return PublishedModel(home, versions[-1], False)
    version = versions[-1] + 1 if versions else 1
    target = home / str(version)
    # Its name is no number: a server that looks meanwhile does not see it.
    with temporary_folder(target) as folder:
        draft = folder / "version"
        draft.mkdir()
        shutil.copyfile(model.file, draft / model.file_name)
        shutil.copyfile(model.facts, draft / "model.json")
        os.rename(draft, target)
    return PublishedModel(home, version, True)


def _write_config(path: Path, text: str, overwrite: bool) -> None:
    try:
        former = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be read ({error})") from error
    if former == text:
        return
    if former is not None and not overwrite:
        raise OutputError(
            f"{path}: says something else than this model's; keep it by another folder, or "
            "replace it with --overwrite"
        )
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and file_sha256(one) == file_sha256(other)


def _is_version(path: Path) -> bool:
    return path.is_dir() and path.name.isdecimal() and not path.name.startswith("0")


def _check_batch(count: int) -> None:
    if not 1 <= count <= MOST_BATCH:
        raise ConfigError(f"max-batch must be within 1-{MOST_BATCH}, received {count}")


def _check_border(path: Path, derivation: dict[str, Any]) -> None:
    border = derivation.get("io", "float32")
    if border != "float32":
        raise ModelError(
            f"{path}: expected a border of float32, received {border}; "
            "build or export it with --io float32"
        )
