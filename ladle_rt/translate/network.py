"""What a compute engine has to offer to the CPU translator, and how it is checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ladle_rt.config import RemoteOptions
from ladle_rt.errors import BackendError, ModelError
from ladle_rt.models.artifact import INPUT_NAME, ModelArtifact
from ladle_rt.translate.semantic import PALETTE

Array = npt.NDArray[np.float32]
Output = Literal["rgb", "classes"]
"""Outputs of a graph: the picture, [N,3,H,W] in [0,1], and, of some models, scores of the groups
of `ladle_rt.translate.semantic`, [N,7,H,W] of any range. A network computes one of them."""
CHANNELS: dict[Output, int] = {"rgb": 3, "classes": len(PALETTE)}

TOLERANCE = 1e-3
"""How far outside [0,1] an output may be before the graph counts as unbounded."""


class Network(Protocol):
    """A loaded graph. Workers call their own `runner` concurrently, each from one thread."""

    @property
    def name(self) -> str:
        """The engine, for logs."""

    def runner(self) -> Runner:
        """A callable for one worker thread."""


class Runner(Protocol):
    """Runs the graph for one worker."""

    def __call__(self, thermal: Array) -> Array:
        """float32 [1,1,H,W] in [0,1] to the network's output; valid until the next call.

        Raises:
            BackendError: the engine failed on this frame, for example because of its size.
        """


@runtime_checkable
class PatientNetwork(Network, Protocol):
    """A network that waits for something outside of this process, such as servers that are away."""

    def give_up(self) -> None:
        """Let frames that wait, and those that would have to, fail at once; from any thread."""


class NetworkFactory(Protocol):
    """What a backend's line in the table, or its entry point, names."""

    def __call__(self, artifact: ModelArtifact, *, workers: int, output: Output) -> Network:
        """Load a model and check it.

        Args:
            artifact: the model.
            workers: threads that will run it, each by a runner of its own.
            output: what the runners give.

        Raises:
            MissingDependencyError: the engine is not installed.
            ModelError: the graph is damaged, foreign, gives no picture or has no such output.
        """


class RemoteFactory(Protocol):
    """The same of a backend that sends frames to servers."""

    def __call__(
        self, artifact: ModelArtifact, *, workers: int, output: Output, remote: RemoteOptions
    ) -> Network:
        """Find servers of a model and check them; see `NetworkFactory`.

        Args:
            artifact: the model.
            workers: threads that ask, each by a runner of its own.
            output: what the runners give.
            remote: where the servers are.
        """


@contextlib.contextmanager
def engine_errors(engine: str, thermal: Array) -> Iterator[None]:
    """Turn what an engine raises on a frame into one line; engines have no common error.

    Raises:
        BackendError: the engine failed.
    """
    try:
        yield
    except Exception as error:
        height, width = thermal.shape[2:]
        raise BackendError(
            f"{engine} failed on a frame scaled to {width}x{height}: {' '.join(str(error).split())}"
        ) from error


def check_interface(
    place: object,
    inputs: list[tuple[str, str, list[Any]]],
    outputs: list[tuple[str, str, list[Any]]],
    wanted: Output = "rgb",
) -> None:
    """Hold a graph to the contract.

    Args:
        place: of the graph, for the message.
        inputs: name, element type and shape of each input; unknown dimensions are not integers.
        outputs: the same of each output.
        wanted: an output that must be there.

    Raises:
        ModelError: other names, types, ranks or channel counts, or no such output.
    """
    classes = [one for one in outputs if one[0] == "classes"]
    others = [one for one in outputs if one[0] != "classes"]
    if wanted == "classes" and not classes:
        raise ModelError(
            f"{place}: expected a model with classes, this one has none; leave out "
            "--layout semantic"
        )
    for kind, expected_name, channels, found in (
        ("input", INPUT_NAME, 1, inputs),
        ("output", "rgb", CHANNELS["rgb"], others),
        *(("output", "classes", CHANNELS["classes"], [one]) for one in classes),
    ):
        described = ", ".join(f"{name} {element} {shape}" for name, element, shape in found)
        fits = len(found) == 1 and (
            found[0][0] == expected_name
            and found[0][1] == "float32"
            and len(found[0][2]) == 4
            and found[0][2][1] in (channels, None)
        )
        if not fits:
            raise ModelError(
                f"{place}: expected one {kind} {expected_name!r} float32 "
                f"[N,{channels},H,W], received {described or 'none'}; "
                "export the model with `ladle-rt export`"
            )


def probe_frame(artifact: ModelArtifact) -> Array:
    """A ramp of the size that a model was trained at: float32 [1,1,H,W] in [0,1]."""
    height, width = artifact.info.train_size
    ramp = np.linspace(0, 1, width, dtype=np.float32)
    return np.broadcast_to(ramp, (1, 1, height, width)).copy()


def check_output(artifact: ModelArtifact, run: Runner, wanted: Output = "rgb") -> None:
    """Run a probe and refuse a graph whose picture is not a picture, or classes are not classes.

    Raises:
        ModelError: an engine error, another shape, NaN, or a picture outside [0,1].
    """
    probe = probe_frame(artifact)
    height, width = probe.shape[2:]
    try:
        output = run(probe)
    except Exception as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ModelError(f"{artifact.onnx_path}: the graph does not run: {line}") from error
    expected = (1, CHANNELS[wanted], height, width)
    if output.shape != expected:
        raise ModelError(
            f"{artifact.onnx_path}: expected an output of shape {expected}, received {output.shape}"
        )
    if not np.isfinite(output).all():
        raise ModelError(
            f"{artifact.onnx_path}: the output is not finite, its weights are damaged; "
            "export the model again"
        )
    low, high = float(output.min()), float(output.max())
    if wanted == "rgb" and (low < -TOLERANCE or high > 1 + TOLERANCE):
        raise ModelError(
            f"{artifact.onnx_path}: expected an output in [0,1], received {low:.3g} to {high:.3g}"
        )
