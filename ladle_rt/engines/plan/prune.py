"""Clearing the folder of plans of what serves nothing any more."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ladle_rt.device import cuda_devices
from ladle_rt.engines.plan.cache import Entry, describe_device, list_plans, lock_path
from ladle_rt.engines.plan.flavour import MODULES, find_tensorrt
from ladle_rt.engines.plan.gpu import gpu_facts
from ladle_rt.engines.plan.lock import is_locked
from ladle_rt.engines.plan.manifest import manifest_path, read_manifest
from ladle_rt.errors import InputError, MissingDependencyError, OutputError
from ladle_rt.files import leftovers


def prune(folder: Path, dry_run: bool = False) -> list[tuple[Path, str]]:
    """Remove, or only name, what no longer fits this machine.

    Raises:
        InputError: no such folder.
        OutputError: a file cannot be removed.
    """
    versions = {}
    for flavour in MODULES:
        with contextlib.suppress(MissingDependencyError):
            versions[flavour] = find_tensorrt(flavour).version
    devices = cuda_devices()
    found = superfluous(folder, versions, gpu_facts(devices[0]) if devices else None)
    if not dry_run:
        for path, _ in found:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"{path}: cannot be removed ({error.strerror})") from error
    return found


def superfluous(
    folder: Path, versions: dict[Any, str], device: dict[str, Any] | None
) -> list[tuple[Path, str]]:
    """Files that no longer serve anything, with the reason.

    Plans built ahead of time for named targets are for other machines: they stay as long as
    their TensorRT version is the one installed. What a running build holds stays too.

    Args:
        folder: where plans lie.
        versions: installed TensorRT versions by flavour; of a flavour that is not installed
            nothing is known, so its plans stay.
        device: the GPU here, as in a manifest; None where there is none.

    Raises:
        InputError: no such folder.
    """
    found: list[tuple[Path, str]] = []
    for entry in list_plans(folder):
        reason = entry.problem or _outdated(entry, versions, device)
        if reason and not is_locked(lock_path(entry.path)):
            found.append((entry.path, reason))
            if manifest_path(entry.path).exists():
                found.append((manifest_path(entry.path), f"manifest of {entry.path.name}"))
    for path in sorted(folder.glob("*.json")):
        plan = path.with_name(f"{path.stem}.plan")
        if not plan.exists() and _is_manifest(path) and not is_locked(lock_path(plan)):
            found.append((path, "its plan is missing"))
    found += [(path, "left by a build that was killed") for path in leftovers(folder)]
    for path in sorted(folder.glob(".*.plan.lock")):
        if not is_locked(path):
            found.append((path, "left by a build that was killed"))
    return found


def _is_manifest(path: Path) -> bool:
    try:
        read_manifest(path)
    except InputError:
        return False
    return True


def _outdated(entry: Entry, versions: dict[Any, str], device: dict[str, Any] | None) -> str | None:
    manifest = entry.manifest
    assert manifest is not None, "an entry without problem has one"
    here = versions.get(manifest.flavour)
    if here and here != manifest.version:
        return f"built by {manifest.flavour} {manifest.version}, installed is {here}"
    if device is not None and "targets" not in manifest.device and manifest.device != device:
        return f"built for {describe_device(manifest.device)}, here is {describe_device(device)}"
    return None
