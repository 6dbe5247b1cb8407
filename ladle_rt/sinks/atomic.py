"""Files that appear whole or not at all.

Work goes to a hidden temporary file beside the target (same folder, so that the final rename
is atomic; same extension, so that writers which go by it choose right) and is renamed over
the target at the end.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from ladle_rt.errors import OutputError


def check_target(path: Path, *, overwrite: bool = False, inputs: Sequence[Path] = ()) -> None:
    """Refuse a target that could not be written, before any work is spent on it.

    Args:
        path: the file to be written.
        overwrite: whether an existing file may be replaced.
        inputs: files that are read for it and must survive.

    Raises:
        OutputError: same file as an input, existing, not a plain file, or in a folder that is
            missing or not writable.
    """
    for source in inputs:
        if path.exists() and source.exists() and os.path.samefile(path, source):
            raise OutputError(f"{path}: input and output are the same file; choose another output")
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a plain file"
        raise OutputError(f"{path}: expected a file name to write, found {kind}")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: already exists; choose another name or allow overwriting")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
    probe = temporary_beside(path)
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot write here ({error.strerror})") from error


def temporary_beside(path: Path) -> Path:
    """A hidden, unused name in the folder of ``path`` (of its target, for a link)."""
    real = Path(os.path.realpath(path))
    # The stem is cut: with the token it must stay within the 255 bytes of a file name.
    return real.with_name(f".{real.stem[:40]}.{secrets.token_hex(4)}.part{real.suffix}")


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished temporary file over its target.

    Raises:
        OutputError: the rename failed; the temporary file is removed.
    """
    try:
        os.replace(temporary, os.path.realpath(path))
    except OSError as error:
        discard(temporary)
        raise OutputError(f"{path}: cannot be put in place ({error.strerror})") from error


def discard(temporary: Path) -> None:
    """Remove a temporary file, if it exists."""
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write; publish it on success, remove it on any error.

    Raises:
        OutputError: writing failed with an `OSError`, or the rename did.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
    except OSError as error:
        discard(temporary)
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        discard(temporary)
        raise
    publish(temporary, path)
