from __future__ import annotations

import os
from pathlib import Path

import pytest

from ladle_rt.errors import OutputError
from ladle_rt.sinks.atomic import atomic_path, check_target, temporary_beside


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.suffix == ".bin"
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
    assert len(temporary_beside(target).name) < 100


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
