"""The folder of plans: found, rebuilt with the reason, locked, killed, full, pruned."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ladle_rt.engines.plan.builder import Built
from ladle_rt.engines.plan.cache import CachedPlan, get_or_build, inspect_plan, list_plans
from ladle_rt.engines.plan.lock import is_locked
from ladle_rt.engines.plan.manifest import PlanManifest, manifest_path, read_manifest
from ladle_rt.engines.plan.prune import superfluous
from ladle_rt.errors import InputError, OutputError

VERSION = "1.7.1.116"
PLAN = struct.pack("<I20x4B", 0x74727476, 1, 7, 1, 116) + bytes(range(256)) * 40
"""As TensorRT-RTX begins one."""
WANTED = PlanManifest(
    model={"name": "tiny model"},
    onnx_sha256="0" * 64,
    precision="int8",
    flavour="tensorrt-rtx",
    version=VERSION,
    profiles=[[[1, 1, 32, 32]] * 3],
    flags={"optimization_level": 3},
    device={"targets": ["sm86", "sm89"]},
    calibration_sha256="1" * 64,
)
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from ladle_rt.engines.plan.builder import Built
from ladle_rt.engines.plan.cache import get_or_build
from ladle_rt.engines.plan.manifest import PlanManifest
from ladle_rt.errors import OutputError
folder, what = Path(sys.argv[1]), sys.argv[2]
wanted = PlanManifest(**json.loads(sys.argv[3]))
plan = bytes.fromhex(sys.argv[4])
def build():
    print("building", flush=True)
    if what == "wait":
        sys.stdin.readline()
    return Built(plan, 0.1)
if what == "full":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]),) * 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if what == "kill":
    replace, left = os.replace, [int(sys.argv[5])]
    def replace_or_die(*names):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*names)
    os.replace = replace_or_die
try:
    got = get_or_build(folder, wanted, "rtx1.7.1", build, lambda line: print(line, flush=True))
except OutputError as error:
    print(error)
    sys.exit(7)
print("built" if got.built else "found", flush=True)
"""


def once() -> Built:
    return Built(PLAN, 1.25)


def never() -> Built:
    raise AssertionError("built again")


def take(
    folder: Path, wanted: PlanManifest = WANTED, build: Callable[[], Built] = once
) -> tuple[CachedPlan, list[str]]:
    said: list[str] = []
    return get_or_build(folder, wanted, "rtx1.7.1", build, said.append), said


def start(folder: Path, what: str, *more: str) -> subprocess.Popen[str]:
    values = json.loads(WANTED.to_json())
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), what, json.dumps(values), PLAN.hex(), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_built_once_then_found(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "engines"
    first, said = take(folder)
    assert first.built and said == [f"building {first.path.name}: none was built yet"]
    assert first.path.name == f"tiny-model-int8-sm86+sm89-rtx1.7.1-{WANTED.key[:8]}.plan"
    assert first.path.read_bytes() == PLAN, "a plain plan"
    assert names(folder) == sorted([first.path.name, manifest_path(first.path).name])
    second, said = take(folder, build=never)
    assert not second.built and said == []
    assert second.manifest == first.manifest == read_manifest(manifest_path(first.path))
    (entry,) = list_plans(folder)
    assert (entry.problem, entry.manifest, entry.size) == (None, first.manifest, len(PLAN))


def test_manifest_says_what_it_must(tmp_path: Path) -> None:
    path = take(tmp_path)[0].path
    values = json.loads(manifest_path(path).read_text(encoding="utf-8"))
    for key in (
        "onnx_sha256",
        "precision",
        "flavour",
        "version",
        "profiles",
        "flags",
        "device",
        "calibration_sha256",
        "plan_sha256",
    ):
        assert values[key], key


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"onnx_sha256": "2" * 64}, "graph"),
        ({"version": "1.8.0.1"}, "TensorRT version (1.7.1.116 → 1.8.0.1)"),
        ({"profiles": [[[1, 1, 64, 64]] * 3]}, "sizes"),
        ({"flags": {}}, "build options"),
        ({"device": {"targets": ["sm120"]}}, "device"),
        ({"calibration_sha256": None}, "calibration"),
    ],
)
def test_another_key_is_built_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    first, _ = take(tmp_path)
    second, said = take(tmp_path, replace(WANTED, **change))  # type: ignore[arg-type]
    assert second.built and second.path != first.path
    assert said[0].endswith(f"the nearest plan has another {reason}")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(PLAN[:-1]), "damaged"),
        (lambda path: path.write_bytes(PLAN[:20]), "received 20 bytes"),
        (lambda path: path.write_bytes(PLAN[:-1] + b"x"), "damaged or replaced"),
        (lambda path: path.write_bytes(b"x" * len(PLAN)), "expected a TensorRT plan"),
        (
            lambda path: path.write_bytes(PLAN[:25] + b"\x09" + PLAN[26:]),
            "written by tensorrt-rtx 1.9.1.116, its manifest names tensorrt-rtx 1.7.1.116",
        ),
        (lambda path: manifest_path(path).unlink(), "expected a plan's manifest"),
        (lambda path: manifest_path(path).write_text("{"), "expected a plan's manifest"),
        (lambda path: manifest_path(path).write_text("{}"), "received something else"),
        (
            lambda path: manifest_path(path).write_text(
                replace(WANTED, precision="fp16").finished(PLAN).to_json()
            ),
            "another precision (fp16 → int8)",
        ),
    ],
)
def test_what_does_not_fit_is_rebuilt(
    tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    path = take(tmp_path)[0].path
    damage(path)
    again, said = take(tmp_path)
    assert again.built and reason in again.reason and reason in said[0]
    assert not take(tmp_path, build=never)[0].built


def test_two_processes_build_one_plan_once(tmp_path: Path) -> None:
    first = start(tmp_path, "wait")
    assert first.stdout and first.stdout.readline().startswith("building tiny")
    assert first.stdout.readline() == "building\n"
    second = start(tmp_path, "plain")
    assert second.stdout and second.stdout.readline().startswith("another process builds")
    said, _ = first.communicate("go\n", timeout=60)
    assert said == "built\n"
    assert second.communicate(timeout=60)[0] == "found\n"
    assert len(names(tmp_path)) == 2


def test_killed_while_building(tmp_path: Path) -> None:
    process = start(tmp_path, "wait")
    assert process.stdout
    process.stdout.readline(), process.stdout.readline()
    (lock,) = (tmp_path / name for name in names(tmp_path))
    assert is_locked(lock)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not is_locked(lock), "the system let go of it"
    assert superfluous(tmp_path, {}, None) == [(lock, "left by a build that was killed")]
    assert take(tmp_path)[0].built
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("renames", [0, 1])
def test_killed_while_writing(tmp_path: Path, renames: int) -> None:
    """Before the plan appears, and between the plan and its manifest."""
    process = start(tmp_path, "kill", str(renames))
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    plans = list(tmp_path.glob("*.plan"))
    assert len(plans) == renames and not list(tmp_path.glob("*.json"))
    assert all(plan.read_bytes() == PLAN for plan in plans), "whole, if there"
    left = {path.name for path, _ in superfluous(tmp_path, {}, None)}
    assert left == set(names(tmp_path))
    assert take(tmp_path)[0].built
    assert len(names(tmp_path)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("limit", [4096, 0])
def test_a_full_disk_leaves_nothing(tmp_path: Path, limit: int) -> None:
    process = start(tmp_path, "full", str(limit))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "cannot be written (File too large)" in said
    assert names(tmp_path) == []


def test_a_disk_that_fills_before_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *rest: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        take(tmp_path)
    assert names(tmp_path) == []


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        take(tmp_path, build=never)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        take(tmp_path / "file" / "engines")
    for function in (list_plans, inspect_plan):
        with pytest.raises(InputError, match="expected a"):
            function(tmp_path / "none")


def test_pruning_takes_what_no_longer_fits(tmp_path: Path) -> None:
    fits = take(tmp_path)[0].path
    old = take(tmp_path, replace(WANTED, version="1.7.1.115"), lambda: Built(OLD, 0))[0].path
    gpu = {"name": "A", "compute_capability": "8.9", "cuda": "13.0"}
    elsewhere = take(tmp_path, replace(WANTED, device=gpu))[0].path
    assert "-sm89-" in elsewhere.name
    foreign = tmp_path / "foreign.json"
    foreign.write_text("{}")
    orphan = tmp_path / "orphan.json"
    orphan.write_text(WANTED.to_json())
    here = {**gpu, "cuda": "13.1"}
    found = dict(superfluous(tmp_path, {"tensorrt-rtx": VERSION}, here))
    assert found == {
        old: "built by tensorrt-rtx 1.7.1.115, installed is 1.7.1.116",
        manifest_path(old): f"manifest of {old.name}",
        elsewhere: "built for A (sm 8.9, CUDA 13.0), here is A (sm 8.9, CUDA 13.1)",
        manifest_path(elsewhere): f"manifest of {elsewhere.name}",
        orphan: "its plan is missing",
    }
    assert fits not in found and foreign not in found
    assert list(dict(superfluous(tmp_path, {}, None))) == [orphan], "nothing is known: kept"


OLD = PLAN[:27] + bytes([115]) + PLAN[28:]
