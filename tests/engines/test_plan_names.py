"""Every TensorRT name of the package exists where TensorRT is installed."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "api_names.py"


@pytest.fixture(scope="module")
def api_names() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_names", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_are_found_in_the_source(api_names: ModuleType) -> None:
    required, optional = api_names.collect(api_names.sources())
    assert {
        ("<module>", "Builder"),
        ("Builder", "build_serialized_network"),
        ("IProgressMonitor", "step_complete"),
        ("IExecutionContext", "execute_async_v3"),
        ("ITimingCache", "serialize"),
    } <= set(required)
    assert ("IBuilderConfig", "set_compute_capability") in optional


def test_every_name_exists_here(api_names: ModuleType) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    required, _ = api_names.collect(api_names.sources())
    assert api_names.missing_names(required)[1] == []


def test_a_missing_name_is_seen(api_names: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = tmp_path / "uses.py"
    source.write_text(
        "import tensorrt_rtx as trt\n"
        "def go(config: Any) -> None:\n"
        "    config.int8_calibrator = 1\n"
        "    builder = trt.Builder(trt.Logger())\n"
        "    builder.platform_has_fast_int8\n"
        "    if hasattr(trt.BuilderFlag, 'FP16'):\n"
        "        config.set_flag(trt.BuilderFlag.FP16)\n"
    )
    required, optional = api_names.collect([source])
    assert optional == [("BuilderFlag", "FP16")]
    assert set(api_names.missing_names(required)[1]) == {
        ("IBuilderConfig", "int8_calibrator"),
        ("Builder", "platform_has_fast_int8"),
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] > (3, 12), reason="the oldest bindings need Python 3.12")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc for link stubs")
@pytest.mark.parametrize("version", ["10.3.0", "11.4.0"])
def test_every_name_exists_in(api_names: ModuleType, version: str) -> None:
    required, _ = api_names.collect(api_names.sources())
    wheel = api_names.WHEELS[version]
    received, missing = api_names.missing_names(required, wheel, version.split(".")[0])
    assert received.startswith(version) and missing == []
