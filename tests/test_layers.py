"""Imports point downwards only, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "ladle_rt"
ROWS = (
    {"cli"},
    {"api"},
    {"pipeline", "bench"},
    {"sources", "translate", "sinks", "engines", "training", "evaluation"},
    {"datasets", "metrics"},
    {"models"},
    {"thermal", "geometry"},
    {"cuda"},
    {"addresses", "frames", "figures", "config", "errors", "device", "files"},
)
"""From top to bottom; packages of one row do not know each other."""
WITHIN_A_ROW = {("config", "errors")}
"""Imports inside a row that are right: settings are refused with the shared errors."""
TORCH_ROOMS = {"models", "training", "evaluation", "engines"}
"""Only these may import torch, its relatives and what else the extra ``train`` brings."""
RUNNING_NEEDS = {
    "aiohttp",
    "av",
    "click",
    "cv2",
    "ladle_rt",
    "numpy",
    "onnxruntime",
    "psutil",
    "rich",
}
"""The core dependencies, as they are imported."""
OPTIONAL = (
    "onnx",
    "openvino",
    "safetensors",
    "segmentation_models_pytorch",
    "skimage",
    "torch",
    "torchmetrics",
    "torchvision",
)
HANDLE_LIBRARIES = {"segmentation_models_pytorch", "timm"}
"""Slow to import, and the business of the Handles alone."""
TORCH_FREE_MODELS = {"__init__.py", "artifact.py", "listing.py"}
"""Files of the room ``models`` that must load where torch is not installed."""
BEHIND_AN_EXTRA = {"pipeline/calibrate.py"}
"""Files whose command asks for the extra before it imports them."""
CLI_MAY_IMPORT = {"click", "ladle_rt", "typing", "__future__", "collections", "pathlib"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(number for number, row in enumerate(ROWS) if name in row)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] not in RUNNING_NEEDS | set(sys.stdlib_module_names):
            assert here in TORCH_ROOMS, f"{name} in {here}"
        if parts[0] in HANDLE_LIBRARIES:
            assert here == "models", f"{name} in {here}"
        if parts[0] != "ladle_rt" or len(parts) == 1 or parts[1] in (here, "__version__"):
            continue
        down = level(parts[1]) > level(here)
        assert down or (here, parts[1]) in WITHIN_A_ROW, f"{here} imports {name}"


def test_every_room_is_in_a_row() -> None:
    rooms = {room(path) for path in modules()} - {"__init__", "__main__"}
    assert rooms - {"weights"} == set().union(*ROWS)


@pytest.mark.parametrize("path", sorted((ROOT / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_command_modules_import_lightly(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imports(ast.Module([node], [])):
                top, _, rest = name.partition(".")
                if path.stem == "__init__":
                    continue
                assert top in CLI_MAY_IMPORT, name
                assert top != "ladle_rt" or rest.startswith(("errors", "cli")), name


def test_everything_else_loads_without_torch() -> None:
    """In a fresh interpreter that has no torch: nothing reaches it by a detour."""
    loaded = [
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for path in modules()
        if str(path.relative_to(ROOT)) not in BEHIND_AN_EXTRA
        if room(path) not in TORCH_ROOMS | {"__main__"}
        or (room(path) == "models" and path.name in TORCH_FREE_MODELS)
    ]
    assert "ladle_rt.pipeline.video" in loaded and "ladle_rt.models.registry" not in loaded
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({OPTIONAL}))\n"
        f"for name in {loaded}: importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
