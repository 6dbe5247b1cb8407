"""Every example runs as it stands, with input of its own making."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAYS = {
    "evaluate_pairs": "mean colour",
    "folder": "4 images in",
    "live": "20 pictures of 256x192 from synthetic",
    "one_array": "(192, 256) float32 -> (192, 256, 3) uint8",
    "own_sink": "a strip of 768x192 pixels: 0.00 s 0.50 s 1.00 s",
    "torch_user": "[2, 1, 192, 256] -> [2, 3, 192, 256] torch.float32",
}
NEEDS = {"evaluate_pairs": "skimage", "torch_user": "torch"}


def test_every_example_is_known_and_short() -> None:
    paths = sorted((ROOT / "examples").glob("*.py"))
    assert [path.stem for path in paths] == sorted(SAYS)
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 41 and ast.get_docstring(ast.parse(text)), path
        # Run as a script, its folder comes first: no library may find it in place of its own.
        assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("name", sorted(SAYS))
def test_examples_run(name: str, tmp_path: Path) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout
