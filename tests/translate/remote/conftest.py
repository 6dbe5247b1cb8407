"""A server that speaks KServe v2; see ``kserve_server.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SERVER = Path(__file__).with_name("kserve_server.py")


@pytest.fixture(scope="session")
def kserve() -> ModuleType:
    """The module; skips where tritonclient is not installed."""
    for name in ("grpc", "geventhttpclient", "tritonclient"):
        pytest.importorskip(name, reason=f"{name} comes with the extra triton")
    spec = importlib.util.spec_from_file_location("kserve_server", SERVER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks itself up.
    import sys

    sys.modules["kserve_server"] = module
    spec.loader.exec_module(module)
    return module
