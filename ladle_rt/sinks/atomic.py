"""Files that appear whole or not at all.

Work goes to a hidden temporary file beside the target (same folder, so that the final rename
is atomic; same extension, so that writers which go by it choose right) and is renamed over
the target at the end.
"""

from __future__ import annotations

import contextlib
import itertools
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
        raise OutputError(
            f"{path}: already exists; choose another name, or replace it with --overwrite"
        )
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


def publish(temporary: Path, path: Path, *, overwrite: bool = True) -> None:
    """Rename a finished temporary file to its target.

    Args:
        temporary: the finished file.
        path: the target.
        overwrite: whether a file that has appeared there meanwhile may be replaced; where not,
            the finished one is put beside it under another name.

    Raises:
        OutputError: the rename failed and the temporary file is removed; or the target has
            appeared meanwhile.
    """
    target = Path(os.path.realpath(path))
    try:
        if not overwrite and not _moved_to_new(temporary, target):
            beside = _free_name(target)
            os.replace(temporary, beside)
            raise OutputError(
                f"{path}: another program has made this file meanwhile; "
                f"the result is in {beside.name}"
            )
        if overwrite:
            os.replace(temporary, target)
    except OutputError:
        raise
    except OSError as error:
        discard(temporary)
        raise OutputError(f"{path}: cannot be put in place ({error.strerror})") from error


def _moved_to_new(temporary: Path, target: Path) -> bool:
    """Rename a file unless its new name is taken; whether that was done."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links has no exclusive rename.
        if target.exists():
            return False
        os.replace(temporary, target)
        return True
    temporary.unlink()
    return True


def _free_name(target: Path) -> Path:
    numbers = itertools.count(2)
    return next(
        one for n in numbers if not (one := target.with_stem(f"{target.stem}-{n}")).exists()
    )


def discard(temporary: Path) -> None:
    """Remove a temporary file, if it exists."""
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_path(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary path to write; publish it on success, remove it on any error.

    Raises:
        OutputError: writing failed with an `OSError`, or the rename did; see `publish`.
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
    publish(temporary, path, overwrite=overwrite)
