"""The plan of one frame's launches: sizes, arguments, refusals. Needs no compiler."""

from __future__ import annotations

import ctypes
import re
import struct
from typing import Any

import numpy as np
import pytest

from ladle_rt.cuda.launch import Launch, float32, int32, pointer
from ladle_rt.errors import ConfigError
from ladle_rt.geometry import Letterbox, fit_letterbox
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate import steady
from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.cuda.frame_kernels import KERNELS, FrameKernels
from ladle_rt.translate.cuda.frame_memory import Buffers
from ladle_rt.translate.cuda.kernels import SHARED, kernel_source

YUV, RGB = PictureSpec("yuv420p", True), PictureSpec("rgb24", False)


def plan(
    height: int = 512, width: int = 640, dtype: Any = np.uint16, **changes: Any
) -> FrameKernels:
    settings: dict[str, Any] = {
        "fit": changes.get("fit") or fit_letterbox(height, width, (192, 256), 32),
        "spec": ThermalNormalization(),
        "picture": YUV,
        "detail": True,
        "layout": "colour",
        "mark": False,
        **changes,
    }
    return FrameKernels(height, width, dtype, **settings)


def launches_in(kernels: FrameKernels, buffers: Buffers) -> list[Launch]:
    return kernels.before(buffers) + kernels.after(buffers)


def launches(kernels: FrameKernels) -> list[Launch]:
    return launches_in(kernels, Buffers(*range(1, 9)))


def test_constants_of_the_cpu_path_are_typed_once() -> None:
    source = kernel_source()
    for name, value in SHARED.items():
        (typed,) = re.findall(rf"constexpr (?:float|int) {name} = ([\d.]+)f?;", source)
        assert float(typed) == value
    assert SHARED["STILL"] == steady.STILL and SHARED["REACH"] == steady.MARGIN // 2


def test_sizes_of_buffers() -> None:
    kernels = plan()
    assert kernels.network_shape == (192, 256) and kernels.picture_size == (512, 640)
    assert kernels.input_bytes == 512 * 640 * 2
    assert kernels.thermal_bytes == 192 * 256 * 4
    assert kernels.output_bytes == 512 * 640 * 3 // 2 and kernels.output_shape == (768, 640)
    assert plan(network_dtype="float16").thermal_bytes == 192 * 256 * 2
    assert plan(dtype=np.uint8).state_bytes < 2048 < plan().state_bytes
    assert plan(detail=False).scratch_bytes < kernels.scratch_bytes < 2 << 20


@pytest.mark.parametrize(
    ("picture", "layout", "expected"),
    [
        (YUV, "colour", (195, 98)),
        (YUV, "side-by-side", (195, 196)),
        (RGB, "colour", (131, 99, 3)),
        (RGB, "side-by-side", (131, 198, 3)),
    ],
)
def test_shape_of_the_picture(picture: PictureSpec, layout: str, expected: tuple[int, ...]) -> None:
    assert plan(131, 99, picture=picture, layout=layout).output_shape == expected


@pytest.mark.parametrize("network_dtype", ["float32", "float16"])
@pytest.mark.parametrize("steady", [0.0, 1.0])
@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("picture", [YUV, RGB])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_few_launches_of_known_kernels(
    dtype: type, picture: PictureSpec, detail: bool, steady: float, network_dtype: str
) -> None:
    """Three, where there were five; one more for detail, two more for flicker suppression."""
    kernels = plan(
        dtype=dtype, picture=picture, detail=detail, steady=steady, network_dtype=network_dtype
    )
    names = [launch.kernel for launch in launches(kernels)]
    assert len(names) == 3 + detail + 2 * bool(steady) and set(names) <= set(KERNELS)
    moved = kernels.bytes_moved()
    assert [*moved.before, *moved.after] == names
    assert moved.total > kernels.input_bytes + kernels.output_bytes


def test_a_picture_smaller_than_the_network_goes_through_planes() -> None:
    names = [launch.kernel for launch in launches(plan(96, 128, np.uint8, detail=False))]
    assert names[2:] == ["to_planes_f32", "planes_picture_yuv420p_u8"]


def test_bytes_count_the_frame_twice_only_where_it_is_seen_again() -> None:
    alone, beside = (plan(detail=False, layout=layout) for layout in ("colour", "side-by-side"))
    seen = [kernels.bytes_moved().after["picture_yuv420p_u16"] for kernels in (alone, beside)]
    assert seen[1] - seen[0] == alone.input_bytes + alone.output_bytes


def test_every_pointer_lies_in_its_buffer() -> None:
    kernels = plan(mark=True, layout="side-by-side", steady=1.0)
    sizes = {
        "input": kernels.input_bytes,
        "clock": 8,
        "state": kernels.state_bytes,
        "steady": kernels.steady_bytes,
        "thermal": kernels.thermal_bytes,
        "rgb": 3 * kernels.thermal_bytes,
        "scratch": kernels.scratch_bytes,
        "output": kernels.output_bytes,
    }
    buffers = Buffers(**{name: (n + 1) << 40 for n, name in enumerate(sizes)})
    by_address = [0, *sizes.values()]
    made = launches_in(kernels, buffers)
    for launch in made:
        for arg in launch.args:
            if arg.kind == "P":
                buffer = int(arg.value) >> 40
                offset = int(arg.value) - (buffer << 40)
                assert offset < by_address[buffer] and offset % 256 == 0


def test_label_is_the_start_of_scratch() -> None:
    start = plan(mark=True).scratch_start
    assert start.size and set(np.unique(start)) > {16, 235}
    assert plan(24, 40, mark=True).scratch_start.size == 0, "no room for it"
    assert plan(mark=False).scratch_start.size == 0


def test_arguments_pack_as_the_driver_reads_them() -> None:
    launch = Launch("f", (1, 2, 3), (4, 5, 6), (pointer(1 << 40), int32(-7), float32(0.5)))
    assert launch.format == "Pif" and launch.values == (1 << 40, -7, 0.5)
    assert launch.ctypes == (ctypes.c_void_p, ctypes.c_int, ctypes.c_float)
    assert [arg.pack() for arg in launch.args] == [
        struct.pack("=Q", 1 << 40),
        struct.pack("=i", -7),
        struct.pack("=f", 0.5),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 0, "fit": Letterbox(192, 256, 0, 0)}, "sides of 1 to 16384.*0x640"),
        ({"width": 20000}, "sides of 1 to 16384.*512x20000"),
        ({"fit": Letterbox(192, 256, -1, 0)}, "padded to 191x256"),
        ({"dtype": np.float32}, "uint8 or uint16, received float32"),
        ({"network_dtype": "int8"}, "network_dtype.*'int8'"),
        ({"picture": PictureSpec("yuv420p", False)}, "yuv420p needs even sides"),
        ({"steady": 1.5}, "steady must be within 0-1, received 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan(**changes)
    assert "\n" not in str(caught.value)
