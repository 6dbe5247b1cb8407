"""What takes long is made once for all of the workers that run the tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A file that the first worker to need it makes and every other one uses as it is.

    Args:
        factory: of the session's temporary folders; those of xdist's workers lie in one folder.
        name: of the file, the same for nothing else.
        make: writes the file at the path that it is given.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / name
    with FileLock(f"{path}.lock"):
        if not path.exists():
            part = path.with_name(f"part-{name}")
            make(part)
            part.replace(path)
    return path
