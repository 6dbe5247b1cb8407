"""Recordings and videos in S3, by a real server that speaks its protocol over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from ladle_rt.archive.archive_storage import open_store
from ladle_rt.archive.run_archive import ArchiveJob, run_archive
from ladle_rt.config import TranslateOptions, VideoEncoding
from ladle_rt.errors import InputError, MissingDependencyError, OutputError

QUICK = TranslateOptions(encoding=VideoEncoding(preset="ultrafast"), steady=0, threads=1)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a server with a bucket ``lab``."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs comes with the extra scale")
    pytest.importorskip("moto.server", reason="the S3 server needs moto[server]")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "lab"),
        ("AWS_SECRET_ACCESS_KEY", "lab"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    # The server is new, what it keeps is not.
    files.makedirs("lab", exist_ok=True)
    yield files
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_from_a_bucket_into_a_bucket(
    write_recording: Callable[..., Path],
    bucket: Any,
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
) -> None:
    bucket.put_file(str(write_recording(tmp_path / "a.mkv", 60)), "lab/raw/day/a.mkv")
    bucket.pipe_file("lab/raw/junk.mkv", b"junk")
    job = ArchiveJob(
        ("s3://lab/raw",), "s3://lab/colour", tiny_model, QUICK, segment_s=2, container="mkv"
    )
    inline()
    report = run_archive(job)
    assert [one.frames for one in report.outcomes] == [60]
    assert list(report.failures) == ["s3://lab/raw/junk.mkv"]
    bucket.get_file("lab/colour/day/a.mkv", str(tmp_path / "colour.mkv"))
    with av.open(str(tmp_path / "colour.mkv")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
    assert not [one for one in bucket.find("lab/colour") if one.endswith(".nut")]
    assert [one.target for one in run_archive(job).before] == ["day/a.mkv"]


def test_a_bucket_that_is_not_there_or_refuses(
    write_recording: Callable[..., Path],
    bucket: Any,
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = str(write_recording(tmp_path / "a.mkv", 10))
    made = inline()
    with pytest.raises(OutputError, match=r"s3://none/colour: cannot be written"):
        run_archive(ArchiveJob((source,), "s3://none/colour", tiny_model, QUICK))
    with pytest.raises(InputError, match="expected recordings"):
        run_archive(ArchiveJob(("s3://lab/empty",), str(tmp_path / "out"), tiny_model, QUICK))

    async def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError("Access Denied")

    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "_put_file", refuse)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(OutputError, match=r"s3://lab/colour: cannot be written \(Access Denied"):
        run_archive(ArchiveJob((source,), "s3://lab/colour", tiny_model, QUICK))
    assert not any(one.runs for one in made)


def test_an_unknown_scheme_names_what_is_missing() -> None:
    pytest.importorskip("fsspec", reason="fsspec comes with the extra scale")
    with pytest.raises(InputError, match="nosuch"):
        open_store("nosuch://lab/raw")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[scale\]"):
        open_store("s3://lab/raw")
