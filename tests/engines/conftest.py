"""The edition of TensorRT that builds plans without a GPU."""

from __future__ import annotations

import pytest

from ladle_rt.cuda.tensorrt_edition import TensorRT, find_tensorrt


@pytest.fixture(scope="session")
def rtx() -> TensorRT:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    return find_tensorrt("tensorrt-rtx")
