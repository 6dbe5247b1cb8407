"""Who may import whom, and which rooms may load heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "ladle_rt"
FOUNDATION = {
    "addresses",
    "closing",
    "colour",
    "config",
    "device",
    "documents",
    "errors",
    "files",
    "frame_stats",
    "frames",
    "geometry",
    "media",
    "plugins",
    "similarity",
    "structure",
    "temperature",
}
"""Single modules that know nothing of the rooms: every room may import every one of them."""
MAY_IMPORT: dict[str, set[str]] = {
    # What a thermal image is, and how its counts become grey levels.
    "thermal": set(),
    # Pairs of thermal and visible images on disk.
    "datasets": set(),
    # The driver of NVIDIA's GPUs and TensorRT, as the rooms above need them.
    "cuda": set(),
    # Networks, their files and facts.
    "models": {"thermal"},
    # Where frames come from: cameras, videos, folders, the network.
    "sources": {"datasets", "thermal"},
    # Where pictures go: windows, videos, streams, web pages.
    "sinks": {"thermal"},
    # The raw recordings of this program: written as a sink, read as a source.
    "recording": {"sinks", "sources", "thermal"},
    # From a checkpoint to something that runs: export, precision, calibration, TensorRT plans.
    "engines": {"cuda", "datasets", "models", "sources", "thermal"},
    # A frame in, a colour picture out, on any compute engine.
    "translate": {"cuda", "engines", "models", "thermal"},
    # Makes checkpoints; nothing that runs a model may need it.
    "training": {"datasets", "models", "sources", "thermal"},
    # How good pictures are: scores against the truth, steadiness, parity of engines.
    "evaluation": {"datasets", "models", "sources", "thermal", "translate"},
    # How fast this machine is and how good its pictures, as a report.
    "benchmark": {
        "cuda",
        "datasets",
        "engines",
        "evaluation",
        "models",
        "sources",
        "thermal",
        "translate",
    },
    # Questions put to trainings: arms trained, measured and compared.
    "experiments": {
        "benchmark",
        "datasets",
        "evaluation",
        "models",
        "thermal",
        "training",
    },
    # Threads and queues between a source, a translator and a sink; whole jobs.
    "pipeline": {
        "cuda",
        "datasets",
        "engines",
        "models",
        "sinks",
        "sources",
        "thermal",
        "translate",
    },
    # Many recordings, on many machines.
    "archive": {"models", "pipeline", "sinks", "sources", "thermal", "translate"},
    # Many cameras on one machine: one engine, one page.
    "serve": {"models", "pipeline", "sinks", "sources", "thermal", "translate"},
    # What `import ladle_rt` offers.
    "api": {"models", "pipeline", "sinks", "sources", "thermal", "translate"},
    # Parses, calls the library, formats: may call all of it.
    "cli": {
        "api",
        "archive",
        "benchmark",
        "datasets",
        "engines",
        "evaluation",
        "experiments",
        "models",
        "pipeline",
        "serve",
        "sinks",
        "sources",
        "thermal",
        "training",
        "translate",
    },
}
"""Who may import whom, from the bottom to the top. A room is a package or module directly in
``ladle_rt``; it may also import itself and `FOUNDATION`. A new room gets a line here, and stands
below every room that imports it: the table has no circle."""
WITHIN_FOUNDATION = {
    ("colour", "frames"),
    ("addresses", "errors"),
    ("config", "addresses"),
    ("config", "errors"),
    ("config", "plugins"),
    ("documents", "errors"),
    ("files", "errors"),
    ("frames", "temperature"),
    ("geometry", "config"),
    ("geometry", "frames"),
    ("plugins", "errors"),
    ("structure", "errors"),
    ("temperature", "errors"),
}
"""Imports from one module of the foundation to another."""
TORCH_ROOMS = {"models", "training", "evaluation", "engines", "experiments"}
"""Only these may import torch, its relatives and what else the extra ``train`` brings."""
RUNNING_NEEDS = {
    "aiohttp",
    "av",
    "cattrs",
    "click",
    "cv2",
    "filelock",
    "ladle_rt",
    "numpy",
    "onnxruntime",
    "PIL",
    "platformdirs",
    "prometheus_client",
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
    "tritonclient",
)
HANDLE_LIBRARIES = {"segmentation_models_pytorch", "timm"}
"""Slow to import, and the business of the Handles alone."""
TORCH_FREE_MODELS = {"__init__.py", "artifact.py", "listing.py"}
"""Files of the room ``models`` that must load where torch is not installed."""
CLI_MAY_IMPORT = {
    "click",
    "contextlib",
    "ladle_rt",
    "typing",
    "__future__",
    "collections",
    "io",
    "os",
    "pathlib",
    "sys",
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def allowed(here: str, other: str) -> bool:
    if here in FOUNDATION:
        return (here, other) in WITHIN_FOUNDATION
    return other in FOUNDATION | MAY_IMPORT[here]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
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
        assert allowed(here, parts[1]), f"{here} imports {name}: see MAY_IMPORT"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def graph() -> dict[str, set[str]]:
    """Which modules each module names in imports, also those inside functions or for types."""
    names = {module_of(path) for path in modules()}
    found: dict[str, set[str]] = {}
    for path in modules():
        targets = set()
        for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
            # `from package import module` and `from module import name` look alike.
            whole = name if name in names else name.rpartition(".")[0]
            targets |= {whole} & names
        found[module_of(path)] = targets - {module_of(path)}
    return found


def test_no_import_circles() -> None:
    left = graph()
    # A package's own file offers what lies inside it, and is imported on the way there.
    left.pop("ladle_rt")
    while leaves := {name for name, targets in left.items() if not targets & left.keys()}:
        for name in leaves:
            del left[name]
    while roots := {n for n in left if not any(n in targets for targets in left.values())}:
        for name in roots:
            del left[name]
    assert not left, {name: sorted(targets & left.keys()) for name, targets in left.items()}


def test_every_room_is_in_the_table_and_none_else() -> None:
    rooms = {room(path) for path in modules()} - {"__init__", "__main__"}
    assert rooms == FOUNDATION | set(MAY_IMPORT)


def test_the_table_has_no_circle_and_is_written_bottom_up() -> None:
    below: set[str] = set()
    for name, others in MAY_IMPORT.items():
        assert others <= below, f"{name} may import {others - below}, which come after it"
        below.add(name)


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
        if room(path) not in TORCH_ROOMS | {"__main__"}
        or (room(path) == "models" and path.name in TORCH_FREE_MODELS)
    ]
    assert "ladle_rt.pipeline.video_job" in loaded and "ladle_rt.models.registry" not in loaded
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
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
