"""Plans one frame size's kernel launches; plain Python, needs no CUDA library.

The kernels themselves are in ``common.cu`` and the others beside it. A frame takes two launches
before the network and one after it; two where planes at network size are needed, for detail or
where the picture is smaller than the network; flicker suppression adds two before. The network's
input and output are halves where the engine says so. Planes are 16-bit fixed point: the bytes of a
half, eight to sixteen times as exact in bright or strong colour.

What the kernels do in float and the CPU in double agrees within 1e-6 of a level and of the
network's input, but where a threshold lies between the two: a cut of levels that overlap by 0.3
exactly. Pictures agree within one step of 255; through planes up to 0.6 % of the bytes, without
them 0.2 %, are that step off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ladle_rt.config import Layout
from ladle_rt.cuda.launch import Launch
from ladle_rt.geometry import Letterbox
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.after_launches import launches_after, moved_after
from ladle_rt.translate.cuda.before_launches import launches_before, moved_before
from ladle_rt.translate.cuda.frame_memory import Buffers, FrameMemory
from ladle_rt.translate.cuda.frame_shapes import FrameShapes, NetworkDtype

_PIXELS, _NETWORKS, _FORMS = ("u8", "u16"), ("f32", "f16"), ("yuv420p", "rgb24")
KERNELS = (
    *(f"{name}_{pixel}" for name in ("shrink", "motion", "follow_motion") for pixel in _PIXELS),
    *(f"normalize_{pixel}_{network}" for pixel in _PIXELS for network in _NETWORKS),
    *(f"{name}_{network}" for name in ("to_planes", "fit_detail") for network in _NETWORKS),
    *(
        f"{name}_{form}_{pixel}"
        for name in ("picture", "planes_picture")
        for form in _FORMS
        for pixel in _PIXELS
    ),
)
"""Every kernel in the compiled module."""


@dataclass(frozen=True, slots=True)
class BytesMoved:
    """What each launch must read and write at least once, by kernel, bytes."""

    before: dict[str, int]
    after: dict[str, int]

    @property
    def total(self) -> int:
        """Of all launches of one frame."""
        return sum(self.before.values()) + sum(self.after.values())


class FrameKernels:
    """The launches for frames of one size and dtype, before and after the network.

    Launches of `before` share the tracker, and with flicker suppression those of `after` share the
    picture as shown: each of the two runs in the order of frames, on one stream or joined by
    events. Everything else of a frame is in its own buffers.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        dtype: uint8 or uint16.
        fit: `ladle_rt.geometry.fit_letterbox` of that size.
        spec: the model's normalisation.
        picture: what the sink wants.
        detail: add full-resolution detail from the thermal image.
        layout: colour alone, or thermal at the left and colour at the right.
        mark: write the label at the bottom right.
        network_dtype: element type of the network's input and output.
        steady: strength of flicker suppression, 0 to 1; 0 leaves it out.
        fixed_range: low and high level of every frame, counts; ``None`` measures them.

    Raises:
        ConfigError: sizes, dtypes or options that the kernels cannot do.
    """

    def __init__(
        self,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        fit: Letterbox,
        spec: ThermalNormalization,
        picture: PictureSpec,
        detail: bool,
        layout: Layout,
        mark: bool,
        network_dtype: NetworkDtype = "float32",
        *,
        steady: float = 0.0,
        fixed_range: tuple[float, float] | None = None,
    ) -> None:
        self._shapes = FrameShapes.of(
            height, width, dtype, fit, picture, detail, layout, mark, network_dtype, steady
        )
        self._memory = FrameMemory.of(self._shapes)
        self._spec, self._fixed_range = spec, fixed_range

    @property
    def network_dtype(self) -> np.dtype[np.generic]:
        """Element type of the network's input and output."""
        return self._shapes.network_dtype

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the picture, both parts of ``side-by-side`` counted."""
        return self._shapes.picture

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of `Picture.data`, uint8."""
        return self._shapes.output

    @property
    def network_shape(self) -> tuple[int, int]:
        """Height and width of the network's input and output."""
        return self._shapes.network

    @property
    def input_bytes(self) -> int:
        """Of one frame."""
        return self._memory.input

    @property
    def thermal_bytes(self) -> int:
        """Of the network's input; its output takes three times as much."""
        return self._memory.thermal

    @property
    def output_bytes(self) -> int:
        """Of one picture."""
        return self._memory.output

    @property
    def scratch_bytes(self) -> int:
        """Of one frame in flight."""
        return self._memory.scratch.size

    @property
    def state_bytes(self) -> int:
        """Of the tracker, zeroed before the first frame."""
        return self._memory.state

    @property
    def steady_bytes(self) -> int:
        """Of flicker suppression's state, zeroed before the first frame; 0 without."""
        return self._memory.kept.size

    @property
    def scratch_start(self) -> npt.NDArray[np.uint8]:
        """What every scratch buffer begins with, to be copied there once: the label.

        Flat uint8, empty without a label. No kernel writes there.
        """
        mark = self._shapes.label
        return np.empty(0, np.uint8) if mark is None else mark.values.reshape(-1)

    def before(self, buffers: Buffers) -> list[Launch]:
        """Frame to network input."""
        return launches_before(self._shapes, self._memory, self._spec, self._fixed_range, buffers)

    def after(self, buffers: Buffers) -> list[Launch]:
        """Network output to picture."""
        return launches_after(self._shapes, self._memory, buffers)

    def bytes_moved(self) -> BytesMoved:
        """The least traffic of each launch: every input read once, every output written once.

        The bound that a kernel's time is held against; neighbours that several threads read
        are expected from the caches.
        """
        shapes, memory = self._shapes, self._memory
        return BytesMoved(moved_before(shapes, memory), moved_after(shapes, memory))
