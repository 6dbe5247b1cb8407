"""The documentation site builds, without network, and says what the program does."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ladle_rt.cli import COMMANDS, cli

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md"]
NEEDED = ("mkdocs", "material", "mkdocs_click", "mkdocstrings")
FETCHED = re.compile(
    r"""<(?:script|img|iframe)[^>]+src=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//"""
)
"""What a browser would load from elsewhere; plain links to other sites are no such thing."""


def commands() -> list[tuple[str, str]]:
    """Every ``ladle-rt`` line of the texts' bash blocks, with the file that has it."""
    found = []
    for path in TEXTS:
        for block in re.findall(r"```bash\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            lines = [part.strip() for line in block.splitlines() for part in line.split("&&")]
            found += [(path.name, line) for line in lines if line.startswith("ladle-rt ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_are_understood(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"{page}: no command {name}"
    command.make_context(name, arguments)


def test_recipes_are_understood() -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    from ladle_rt.training.train_config import config_from_values

    recipes = [
        recipe
        for path in PAGES
        # Cameras are no recipe.
        if path.name != "serve.md"
        for recipe in re.findall(r"```toml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert recipes
    for recipe in recipes:
        assert config_from_values(tomllib.loads(recipe)).phases


def test_every_recipe_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guide" / "training.md").read_text(encoding="utf-8")
    names = {path.stem for path in (ROOT / "ladle_rt" / "training" / "recipes").glob("*.toml")}
    assert names == {name for name in names if f"`{name}`" in guide}


def test_the_site_builds(tmp_path: Path) -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs the docs extra: no {', '.join(missing)}")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **nowhere, "PYTHONPATH": path, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        made = tmp_path / page.relative_to(ROOT / "docs").with_suffix(".html")
        text = made.read_text(encoding="utf-8")
        assert not FETCHED.search(text), made
    reference = (tmp_path / "reference" / "cli.html").read_text(encoding="utf-8")
    assert all(f'id="ladle-rt-{name}"' in reference for name in COMMANDS)
    assert "--latency-budget" in reference and "Sentinel" not in reference
    python = (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")
    assert "ladle_rt.sources.base.Source" in python
