"""Cameras of a tiny model, and a clip that they play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from ladle_rt.pipeline.sample import write_sample
from ladle_rt.serve.serve_config import (
    CameraConfig,
    EngineConfig,
    PageConfig,
    ServeConfig,
    StorageRule,
)
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.synthetic_source import DriveOptions

LOOPED = SourceOptions(realtime=True, loop=True)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serve") / "t.mp4"
    write_sample(path, DriveOptions(width=160, height=128, seconds=1))
    return path


@pytest.fixture
def config(tiny_model: Path, tmp_path: Path) -> Callable[..., ServeConfig]:
    def make(*cameras: CameraConfig, address: str = "", **storage: Any) -> ServeConfig:
        rule = StorageRule(tmp_path / "rec", **{"min_free_gb": 0.0, **storage})
        engine = EngineConfig(model=str(tiny_model), backend="onnxruntime", threads=2)
        return ServeConfig(cameras, engine, PageConfig(address), rule, 0.0)

    return make


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    return wait_for


@pytest.fixture(scope="session")
def looped() -> SourceOptions:
    return LOOPED
