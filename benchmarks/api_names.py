"""Does every TensorRT name that ladle-rt uses exist in every TensorRT that it serves?

The names are collected from the source (`collect`), not listed by hand. The bindings wheels are
small; they import against empty link stubs of the libraries that they belong to, which gcc makes
here. Needs pip, gcc, a package index, and a Python that the wheels exist for (3.11).

    python benchmarks/api_names.py --output benchmarks/results/api_names.json
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from helpers import write_result

ROOT = Path(__file__).resolve().parents[1]
WHEELS = {
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.13.3": "tensorrt-cu12-bindings==10.13.3.9",
    "10.16.1": "tensorrt-cu12-bindings==10.16.1.11",
    "11.0.0": "tensorrt-cu13-bindings==11.0.0.114",
    "11.4.0": "tensorrt-cu13-bindings==11.4.0.106",
}
LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin")
SYMBOLS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
"""What the bindings link to."""
RETURNS = {
    ("Builder", "create_builder_config"): "IBuilderConfig",
    ("Builder", "create_network"): "INetworkDefinition",
    ("Builder", "create_optimization_profile"): "IOptimizationProfile",
    ("ICudaEngine", "create_engine_inspector"): "EngineInspector",
    ("ICudaEngine", "create_execution_context"): "IExecutionContext",
    ("ICudaEngine", "create_runtime_config"): "IRuntimeConfig",
    ("ICudaEngine", "get_tensor_dtype"): "DataType",
    ("IBuilderConfig", "create_timing_cache"): "ITimingCache",
    ("IBuilderConfig", "get_timing_cache"): "ITimingCache",
    ("OnnxParser", "get_error"): "ParserError",
    ("Runtime", "deserialize_cuda_engine"): "ICudaEngine",
}
"""What methods give, as far as the package goes on with it."""
WRAPPERS = {"create_network": "INetworkDefinition"}
"""Methods of the package's own `TensorRT` that give TensorRT's objects."""
PARAMETERS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "context": "IExecutionContext",
    "engine": "ICudaEngine",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "runtime": "Runtime",
}
"""Parameters annotated `Any` under these names, in files that use TensorRT, are such objects."""
MODULE = "<module>"
Name = tuple[str, str]
"""Class (or `MODULE`) and attribute."""

CHECK = """
import json, sys
try:
    import tensorrt_bindings as trt
except ImportError:
    import tensorrt_rtx as trt
missing = []
for owner, name in json.load(sys.stdin):
    thing = trt if owner == "<module>" else getattr(trt, owner, None)
    if not hasattr(thing, name):
        missing.append([owner, name])
print(json.dumps([trt.__version__, missing]))
"""


class _Names(ast.NodeVisitor):
    """The names that one file uses, found by following what it assigns."""

    def __init__(self) -> None:
        self.types: dict[str, str] = {}
        self.used: set[Name] = set()
        self.asked: set[Name] = set()
        """Names that may be missing: the code asks with `hasattr`."""

    def type_of(self, node: ast.expr) -> str | None:
        """Class of an expression, `MODULE` for TensorRT itself."""
        if isinstance(node, ast.Name | ast.Attribute):
            last = (node.id if isinstance(node, ast.Name) else node.attr).lstrip("_")
            if last == "trt":
                return MODULE
            if isinstance(node, ast.Attribute) and self.type_of(node.value) == MODULE:
                return node.attr
            return self.types.get(last)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = self.type_of(node.func.value)
            if owner == MODULE:
                return node.func.attr
            if owner is None:
                return WRAPPERS.get(node.func.attr)
            return RETURNS.get((owner, node.func.attr))
        return None

    def visit_arg(self, node: ast.arg) -> None:
        if isinstance(node.annotation, ast.Name) and node.annotation.id == "Any":
            kind = PARAMETERS.get(node.arg)
            if kind:
                self.types[node.arg] = kind

    def visit_Assign(self, node: ast.Assign) -> None:
        kind = self.type_of(node.value)
        for target in node.targets:
            if kind and kind != MODULE and isinstance(target, ast.Name | ast.Attribute):
                last = target.id if isinstance(target, ast.Name) else target.attr
                self.types[last.lstrip("_")] = kind
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = self.type_of(node.value)
        if owner and not node.attr.startswith("__"):
            self.used.add((owner, node.attr))
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            if isinstance(base, ast.Attribute) and self.type_of(base.value) == MODULE:
                self.used |= {
                    (base.attr, item.name)
                    for item in node.body
                    if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
                }
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "hasattr":
            thing, name = node.args
            owner = self.type_of(thing)
            if owner and isinstance(name, ast.Constant):
                self.asked.add((owner, str(name.value)))
        self.generic_visit(node)


def sources(package: Path = ROOT / "ladle_rt") -> Iterator[Path]:
    """Files of the package that use TensorRT."""
    for path in sorted(package.rglob("*.py")):
        if "trt." in path.read_text(encoding="utf-8"):
            yield path


def collect(paths: Iterable[Path]) -> tuple[list[Name], list[Name]]:
    """Names that must exist, and names that the code asks for before it uses them."""
    used: set[Name] = set()
    asked: set[Name] = set()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = _Names()
        for _ in range(2):  # the second time knows what the file assigns further down
            found.visit(tree)
        used |= found.used
        asked |= found.asked
    optional_classes = {name for owner, name in asked if owner == MODULE}
    optional = {name for name in used | asked if name in asked or name[0] in optional_classes}
    return sorted(used - optional), sorted(optional)


def link_stubs(folder: Path, major: str) -> None:
    """Empty libraries under the names that the bindings ask for."""
    source = folder / "stubs.c"
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in SYMBOLS))
    for library in LIBRARIES:
        target = folder / f"lib{library}.so.{major}"
        soname = f"-Wl,-soname,{target.name}"
        subprocess.run(["gcc", "-shared", "-fPIC", soname, "-o", target, source], check=True)


def missing_names(
    names: list[Name], wheel: str | None = None, major: str = ""
) -> tuple[str, list[Name]]:
    """Version, and the names that it does not have.

    Args:
        names: what to look for.
        wheel: bindings to install for this; None: the installed TensorRT-RTX.
        major: first number of the version, for the link stubs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = dict(os.environ)
        if wheel:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            only = ["--only-binary", ":all:", "--disable-pip-version-check"]
            subprocess.run([*pip, *only, "--target", folder / "bindings", wheel], check=True)
            link_stubs(folder, major)
            environment["PYTHONPATH"] = str(folder / "bindings")
            environment["LD_LIBRARY_PATH"] = str(folder)
        done = subprocess.run(
            [sys.executable, "-c", CHECK],
            input=json.dumps(names),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    version, missing = json.loads(done.stdout)
    return version, [(owner, name) for owner, name in missing]


def main() -> int:
    """Print the matrix; 1 if a name that must exist is missing somewhere."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    required, optional = collect(sources())
    columns = {"rtx": missing_names([*required, *optional])}
    for version, wheel in WHEELS.items():
        columns[version] = missing_names([*required, *optional], wheel, version.split(".")[0])
    width = max(len(f"{owner}.{name}") for owner, name in [*required, *optional])
    print(" " * width, *(f"{column:>8}" for column in columns))
    bad = 0
    rows = {}
    for name in [*required, *optional]:
        here = {column: name not in missing for column, (_, missing) in columns.items()}
        asked = name in optional
        bad += not asked and not all(here.values())
        absent = "asked" if asked else "MISSING"
        label = name[1] if name[0] == MODULE else ".".join(name)
        rows[label] = {"asked_first": asked, "in": [c for c, yes in here.items() if yes]}
        print(f"{label:{width}}", *(f"{'yes' if yes else absent:>8}" for yes in here.values()))
    print(f"{len(required)} names must exist, {len(optional)} are asked for first; {bad} missing")
    if arguments.output:
        checked = {column: version for column, (version, _) in columns.items()}
        settings = {"checked": checked, "missing": bad}
        write_result(arguments.output, "api_names", settings, rows)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
