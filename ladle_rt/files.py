"""Files that appear whole or not at all.

Work goes to a hidden part beside its target (same folder, so that the final rename is atomic):

    .NAME.0a1b2c3d.part

The process that writes a part holds a lock on it, which the operating system drops with the
process, however that ended. So a part without a lock was left by a killed run; the first part
that a process makes in a folder removes the ones found there.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ladle_rt.errors import OutputError

PART = re.compile(r"\.(.+)\.(\d+)\.[0-9a-f]{8}\.part", re.DOTALL)
"""Name of the target, shortened; process; token."""
_locks: dict[Path, int] = {}
"""Descriptors that hold the locks of this process's parts."""
_swept: set[Path] = set()
"""Folders whose leftovers are removed; a look at every file costs too much for every frame."""
_changing = threading.Lock()


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
    discard(temporary_beside(path))


def temporary_beside(path: Path) -> Path:
    """Make an empty part in the folder of ``path`` (of its target, for a link).

    It is this process's until `publish` or `discard`.

    Raises:
        OutputError: no file can be made there.
    """
    with _refusing(path, "cannot write here"):
        return _make(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def publish(temporary: Path, path: Path, *, overwrite: bool = True) -> None:
    """Rename a finished part to its target.

    Args:
        temporary: the finished part.
        path: the target.
        overwrite: whether a file that has appeared there meanwhile may be replaced; where not,
            the finished one is put beside it under another name.

    Raises:
        OutputError: the rename failed and the part is removed; or the target has appeared
            meanwhile.
    """
    target = Path(os.path.realpath(path))
    try:
        with _refusing(path, "cannot be put in place"):
            if overwrite:
                os.replace(temporary, target)
            elif not _moved_to_new(temporary, target):
                beside = _free_name(target)
                os.replace(temporary, beside)
                raise OutputError(
                    f"{path}: another program has made this file meanwhile; "
                    f"the result is in {beside.name}"
                )
    finally:
        discard(temporary)


def discard(temporary: Path) -> None:
    """Remove a part, if it exists."""
    temporary.unlink(missing_ok=True)
    _let_go(temporary)


@contextlib.contextmanager
def atomic_path(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a part to write; publish it on success, remove it on any error.

    Raises:
        OutputError: writing failed with an `OSError`, or the rename did; see `publish`.
    """
    temporary = temporary_beside(path)
    try:
        with _refusing(path):
            yield temporary
    except BaseException:
        discard(temporary)
        raise
    publish(temporary, path, overwrite=overwrite)


def write_whole(path: Path, write: Callable[[Path], object], *, overwrite: bool = True) -> None:
    """Let ``write`` fill a part of ``path``, then put it in place.

    Raises:
        OutputError: it could not be written; a former file is still there; see `publish`.
    """
    with atomic_path(path, overwrite=overwrite) as temporary:
        write(temporary)


def write_bytes(path: Path, data: bytes, *, overwrite: bool = True) -> None:
    """`write_whole` of what is at hand."""
    write_whole(path, lambda part: part.write_bytes(data), overwrite=overwrite)


def write_text(path: Path, text: str) -> None:
    """`write_whole` of text, as UTF-8 and with its own line ends."""
    write_bytes(path, text.encode())


@contextlib.contextmanager
def temporary_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """A hidden folder beside ``path``, for targets of several files; removed at the end.

    Args:
        path: what it is for.
        mode: its permissions, less the process's mask.

    Raises:
        OutputError: no folder can be made there, or an `OSError` happened inside.
    """
    with _refusing(path):
        folder = _make(path, None, mode)
    try:
        with _refusing(path):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _let_go(folder)


def scratch_folder() -> contextlib.AbstractContextManager[Path]:
    """A folder on the temporary disk that this user alone reads; removed at the end.

    Unlike `tempfile.TemporaryDirectory`, one of a killed process goes when the next is made.

    Raises:
        OutputError: no folder can be made there, or an `OSError` happened inside.
    """
    return temporary_folder(Path(tempfile.gettempdir(), "ladle-rt"), 0o700)


def leftovers(folder: Path) -> list[Path]:
    """Parts in a folder that no running process writes."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [Path(entry.path) for entry in entries if PART.fullmatch(entry.name)]
        return sorted(part for part in found if not _is_held(part))
    return []


@contextlib.contextmanager
def _refusing(path: Path, problem: str = "cannot be written") -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: {problem} ({error.strerror or error})") from error


def _make(path: Path, flags: int | None, mode: int = 0o666) -> Path:
    """A locked part: a file opened with ``flags``, a folder without."""
    real = Path(os.path.realpath(path))
    _sweep(real.parent)
    while True:
        # The name is cut: with what follows it must stay within the 255 bytes of a file name.
        token = f"{os.getpid()}.{secrets.token_hex(4)}"
        part = real.with_name(f".{real.name[:40]}.{token}.part")
        if flags is None:
            part.mkdir(mode)
        else:
            os.close(os.open(part, flags, mode))
        if _hold(part):
            return part


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


def _sweep(folder: Path) -> None:
    with _changing:
        if folder in _swept:
            return
        _swept.add(folder)
    for part in leftovers(folder):
        with contextlib.suppress(OSError):
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()


def _fcntl() -> Any:
    """Locks of files that may be renamed and removed while they are held; not on Windows."""
    return None if os.name == "nt" else importlib.import_module("fcntl")


def _hold(part: Path) -> bool:
    """Lock a new part; False if another process took it for a leftover in between."""
    fcntl = _fcntl()
    if fcntl is None:
        return True
    try:
        descriptor = os.open(part, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(os.fstat(descriptor), part.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    except OSError:
        # A file system without locks: nobody can take this part for a leftover either.
        mine = True
    if not mine:
        os.close(descriptor)
        return False
    with _changing:
        _locks[part] = descriptor
    return True


def _let_go(part: Path) -> None:
    with _changing:
        descriptor = _locks.pop(part, None)
    if descriptor is not None:
        os.close(descriptor)


def _is_held(part: Path) -> bool:
    fcntl = _fcntl()
    if fcntl is None:
        return _process_lives(part)
    try:
        descriptor = os.open(part, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _process_lives(part: Path) -> bool:
    psutil = importlib.import_module("psutil")
    found = PART.fullmatch(part.name)
    assert found is not None
    return bool(psutil.pid_exists(int(found[2])))
