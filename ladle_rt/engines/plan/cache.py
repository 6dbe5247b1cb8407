"""The folder of built plans: each a plain plan file (trtexec loads it) and its manifest.

A plan counts only with a manifest that fits it: it is written first, the manifest last, each by
rename. So a kill at any moment leaves a plan that is whole and known, or one that is rebuilt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.cuda.tensorrt_edition import same_version
from ladle_rt.engines.plan.builder import Built
from ladle_rt.engines.plan.header import PlanHeader, read_header
from ladle_rt.engines.plan.lock import is_locked, locked
from ladle_rt.engines.plan.manifest import PlanManifest, manifest_path, read_manifest
from ladle_rt.errors import InputError, OutputError
from ladle_rt.files import write_whole
from ladle_rt.models.artifact import file_sha256

TIMINGS = ".timings"
"""How the names of files with kernel times end."""


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A plan that may be used."""

    path: Path
    manifest: PlanManifest
    built: bool
    """Whether it was built now."""
    reason: str
    """Why it was built, or that it was there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A plan as it lies in the folder."""

    path: Path
    size: int
    """Bytes."""
    header: PlanHeader | None
    manifest: PlanManifest | None
    problem: str | None
    """Why it cannot be used."""


def get_or_build(
    folder: Path,
    wanted: PlanManifest,
    label: str,
    build: Callable[[], Built],
    notify: Callable[[str], object],
) -> CachedPlan:
    """Take the plan from the folder, or build and store it.

    Args:
        folder: made if missing.
        wanted: manifest less the facts of the built plan.
        label: TensorRT's short form for the file name.
        build: called if the folder has no fitting plan; under the plan's lock.
        notify: gets a line that says why something is built, or waited for.

    Raises:
        OutputError: the folder, the plan or the manifest cannot be written; nothing is left.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    path = folder / wanted.file_name(label)

    def waiting() -> None:
        notify(f"another process builds {path.name}; waiting for it")

    with locked(lock_path(path), waiting):
        entry = inspect_plan(path, wanted) if path.exists() else None
        if entry and entry.manifest and not entry.problem:
            return CachedPlan(path, entry.manifest, False, "found in the folder")
        reason = entry.problem if entry and entry.problem else _why_missing(folder, wanted)
        notify(f"building {path.name}: {reason}")
        built = build()
        manifest = wanted.finished(built.plan, build_seconds=round(built.seconds, 3))
        store(path, built.plan, manifest)
        return CachedPlan(path, manifest, True, reason)


def store(path: Path, plan: bytes, manifest: PlanManifest) -> None:
    """Write a plan and then its manifest, each whole or not at all.

    Raises:
        OutputError: either cannot be written; neither is left.
    """
    try:
        write_whole(path, lambda target: target.write_bytes(plan))
        write_manifest(path, manifest)
    except OutputError:
        for leftover in (manifest_path(path), path):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)
        raise


def write_manifest(path: Path, manifest: PlanManifest) -> None:
    """Write the manifest of the plan at ``path``.

    Raises:
        OutputError: it cannot be written; the former one is left.
    """
    target = manifest_path(path)
    text = manifest.to_json()
    write_whole(target, lambda draft: draft.write_text(text, encoding="utf-8"))


def inspect_plan(path: Path, wanted: PlanManifest | None = None) -> Entry:
    """Read a plan's header and manifest, and check that they, the file and a wish agree.

    Raises:
        InputError: no such file, or one that cannot be read.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: expected a plan, received {error}") from error
    header, manifest, problem = None, None, None
    try:
        header = read_header(path)
        manifest = read_manifest(manifest_path(path))
        problem = _disagreement(path, size, header, manifest)
    except InputError as error:
        problem = str(error)
    if problem is None and wanted is not None and manifest is not None:
        differing = wanted.difference(manifest)
        if differing:
            problem = f"the plan there has another {', '.join(differing)}"
    return Entry(path, size, header, manifest, problem)


def list_plans(folder: Path) -> tuple[Entry, ...]:
    """Every plan of a folder, by name.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of plans, found none")
    return tuple(inspect_plan(path) for path in sorted(folder.glob("*.plan")))


def builds_under_way(folder: Path) -> bool:
    """Whether a process holds the lock of one of the folder's plans."""
    return any(is_locked(path) for path in folder.glob(".*.plan.lock"))


def lock_path(plan: Path) -> Path:
    """Held by whoever builds this plan."""
    return plan.with_name(f".{plan.name}.lock")


def _disagreement(path: Path, size: int, header: PlanHeader, manifest: PlanManifest) -> str | None:
    if header.edition != manifest.flavour or not same_version(header.version, manifest.version):
        return (
            f"the plan was written by {header.edition} {header.version}, its manifest names "
            f"{manifest.flavour} {manifest.version}"
        )
    if size != manifest.plan_bytes:
        return f"the plan has {size} bytes, its manifest names {manifest.plan_bytes}: damaged"
    if file_sha256(path) != manifest.plan_sha256:
        return "the plan is not the one that its manifest describes (SHA-256): damaged or replaced"
    return None


def describe_device(device: dict[str, object]) -> str:
    """A manifest's device in words."""
    targets = device.get("targets")
    if isinstance(targets, list):
        return ", ".join(str(target) for target in targets)
    return (
        f"{device.get('name')} (sm {device.get('compute_capability')}, CUDA {device.get('cuda')})"
    )


def _why_missing(folder: Path, wanted: PlanManifest) -> str:
    """What the nearest plan of the same model has otherwise."""
    nearest: list[str] | None = None
    for path in folder.glob("*.plan"):
        try:
            manifest = read_manifest(manifest_path(path))
        except InputError:
            continue
        if (manifest.name, manifest.precision) == (wanted.name, wanted.precision):
            differing = wanted.difference(manifest)
            if nearest is None or len(differing) < len(nearest):
                nearest = differing
    if nearest is None:
        return "none was built yet"
    return f"the nearest plan has another {', '.join(nearest)}"
