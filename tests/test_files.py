from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ladle_rt.errors import OutputError
from ladle_rt.files import (
    atomic_path,
    check_target,
    discard,
    leftovers,
    temporary_beside,
    temporary_folder,
)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_system_errors_become_output_errors(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "out.bin"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        fail()


def test_a_link_keeps_pointing_at_its_target(tmp_path: Path) -> None:
    real = tmp_path / "real.bin"
    real.write_bytes(b"old")
    link = tmp_path / "link.bin"
    link.symlink_to(real)
    with atomic_path(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_long_names_leave_room_for_the_token(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250 + ".mp4")
    part = temporary_beside(target)
    assert len(part.name) < 100
    discard(part)


def test_inputs_are_recognised_through_links(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.touch()
    link = tmp_path / "same.mp4"
    link.symlink_to(source)
    with pytest.raises(OutputError, match="same file"):
        check_target(link, overwrite=True, inputs=[source])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder nobody can write to")
def test_folders_that_refuse_files() -> None:
    with pytest.raises(OutputError, match="cannot write here"):
        check_target(Path("/proc/self/out.mp4"))


WRITER = """
import sys
from pathlib import Path
from ladle_rt.files import atomic_path, temporary_folder
with temporary_folder(Path(sys.argv[1], "set")) as folder:
    (folder / "some.txt").touch()
    with atomic_path(Path(sys.argv[1], "out.bin")) as part:
        part.write_bytes(b"half")
        print("writing", flush=True)
        sys.stdin.readline()
"""


def writer(folder: Path) -> subprocess.Popen[str]:
    """A process in the middle of its work."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="ends processes by a POSIX signal")
def test_what_a_killed_run_left_goes_and_what_lives_stays(tmp_path: Path) -> None:
    (tmp_path / ".mine.part").touch()
    (tmp_path / "movie.1.0a1b2c3d.part").touch()
    dead, living = writer(tmp_path), writer(tmp_path)
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    assert len(list(tmp_path.glob(".*.*.part"))) == 4
    assert len(leftovers(tmp_path)) == 2
    with atomic_path(tmp_path / "other.bin") as part:
        part.write_bytes(b"whole")
    assert leftovers(tmp_path) == []
    assert len(list(tmp_path.glob(".*.*.part"))) == 2, "those of the living one"
    living.communicate("go on\n")
    assert living.returncode == 0
    assert sorted(os.listdir(tmp_path)) == [
        ".mine.part",
        "movie.1.0a1b2c3d.part",
        "other.bin",
        "out.bin",
    ]


UNPACKER = """
import os, signal, sys
from ladle_rt.archive.shipped_model import pack, unpack
from ladle_rt.models.artifact import load_artifact, shipped_models
unpack(pack(load_artifact(next(iter(shipped_models().values())))))
if sys.argv[1:]:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="ends processes by a POSIX signal")
def test_a_killed_worker_s_model_goes_when_the_next_unpacks_its_own(tmp_path: Path) -> None:
    def unpack(*words: str) -> int:
        command = [sys.executable, "-c", UNPACKER, *words]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        return subprocess.run(command, env=environment, check=False).returncode

    assert unpack("killed") == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    assert unpack() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_this_process_is_no_leftover(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.bin") as part, temporary_folder(tmp_path / "b") as folder:
        assert part.exists() and folder.is_dir()
        assert leftovers(tmp_path) == []
    assert os.listdir(tmp_path) == ["a.bin"]
