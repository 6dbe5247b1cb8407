"""Recordings and videos by URL, by real servers that speak S3, Google Cloud Storage and SFTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from archives import Lab
from clips import frame_count

from ladle_rt.archive.archive_storage import open_store
from ladle_rt.archive.run_archive import run_archive
from ladle_rt.archive.sftp import _driver as sftp_driver
from ladle_rt.errors import InputError, MissingDependencyError, OutputError

LIMIT_S = 120


@dataclass(frozen=True)
class Remote:
    """A place that is served over a network."""

    url: str
    """Without a slash at its end."""
    files: Any
    """The driver's own view of it."""
    path: str
    """Of the place, for the driver."""
    refusing: Callable[[], AbstractContextManager[None]]
    """Meanwhile the server allows nothing to be written."""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
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

    def check_keys_after(requests: str) -> None:
        url = f"http://{host}:{port}/moto-api/reset-auth"
        # As a form, which is the default, it would be parsed away.
        plain = {"Content-Type": "text/plain"}
        asked = urllib.request.Request(url, requests.encode(), plain)
        with urllib.request.urlopen(asked, timeout=LIMIT_S):
            pass

    @contextlib.contextmanager
    def refusing() -> Iterator[None]:
        check_keys_after("0")
        try:
            yield
        finally:
            check_keys_after("inf")

    yield Remote("s3://lab", files, "lab", refusing)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@contextlib.contextmanager
def _cleared(allowed: threading.Event) -> Iterator[None]:
    allowed.clear()
    try:
        yield
    finally:
        allowed.set()


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    # It would ask Google itself of what kind the bucket is; read when it is imported.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    gcsfs = pytest.importorskip("gcsfs", reason="gcsfs comes with the extra scale")
    pytest.importorskip("gcp_storage_emulator", reason="needs gcp-storage-emulator")
    import fsspec
    from gcp_storage_emulator import server as emulator

    allowed = threading.Event()
    allowed.set()
    handle = emulator.Router.handle

    def guarded(self: Any, method: str) -> None:
        if allowed.is_set() or method == "GET":
            handle(self, method)
            return
        response = emulator.Response(self._request_handler)
        response.status = HTTPStatus.FORBIDDEN
        reason = "lab does not have storage.objects.create access"
        response.json({"error": {"code": 403, "message": reason}})
        response.close()

    monkeypatch.setattr(emulator.Router, "handle", guarded)
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="lab")
    server.start()
    host, port = server._api._httpd.server_address
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{host}:{port}")
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    gcsfs.GCSFileSystem.clear_instance_cache()

    yield Remote(
        "gs://lab", gcsfs.GCSFileSystem(use_listings_cache=False), "lab", lambda: _cleared(allowed)
    )
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    asyncssh = pytest.importorskip("asyncssh", reason="the SFTP server needs asyncssh")
    pytest.importorskip("paramiko", reason="paramiko comes with the extra scale")
    from ladle_rt.archive.sftp import open_sftp

    allowed = threading.Event()
    allowed.set()
    writing = asyncssh.FXF_WRITE

    class Login(asyncssh.SSHServer):  # type: ignore[misc]
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, user: str, password: str) -> bool:
            return (user, password) == ("lab", "pass")

    class Files(asyncssh.SFTPServer):  # type: ignore[misc]
        def open(self, path: bytes, flags: int, attributes: Any) -> Any:
            if flags & writing and not allowed.is_set():
                raise asyncssh.SFTPPermissionDenied("Permission denied")
            return super().open(path, flags, attributes)

    key = asyncssh.generate_private_key("ssh-ed25519")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> Any:
        return await asyncssh.create_server(
            Login, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=Files
        )

    listening: Future[Any] = asyncio.run_coroutine_threadsafe(listen(), loop)
    server = listening.result(LIMIT_S)
    port = server.get_port()
    public = key.export_public_key().decode().strip()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    folder = tmp_path / "served"
    folder.mkdir()
    url = f"sftp://lab:pass@127.0.0.1:{port}{folder}"

    files = open_sftp(url)[0]
    yield Remote(url, files, str(folder), lambda: _cleared(allowed))
    files.client.close()
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT_S)


@pytest.fixture(params=["s3", "gs", "sftp"])
def remote(request: pytest.FixtureRequest) -> Remote:
    found: Remote = request.getfixturevalue(request.param)
    return found


def test_from_there_to_there(lab: Lab, remote: Remote) -> None:
    files, path = remote.files, remote.path
    files.put_file(str(lab.record("a.mkv", 60)), f"{path}/raw/day/a.mkv")
    files.put_file(str(_junk(lab.folder)), f"{path}/raw/junk.mkv")
    job = lab.job(sources=(f"{remote.url}/raw",), target=f"{remote.url}/colour", container="mkv")
    report = run_archive(job)
    assert [(one.frames, one.segments) for one in report.outcomes] == [(60, 3)]
    (failed,) = report.failures
    assert failed.endswith("/raw/junk.mkv") and "pass" not in failed
    files.get_file(f"{path}/colour/day/a.mkv", str(lab.folder / "colour.mkv"))
    assert frame_count(lab.folder / "colour.mkv") == 60
    left = files.find(f"{path}/colour")
    assert not [one for one in left if one.endswith((".nut", ".part"))]
    told = json.loads(files.cat_file(f"{path}/colour/.ladle-rt/report.json"))
    assert len(told["translated"]) == 1
    # The same input, model and options: nothing is done, by what the store says of the file.
    assert [one.target for one in run_archive(job).before] == ["day/a.mkv"]
    files.put_file(str(lab.record("a.mkv", 30)), f"{path}/raw/day/a.mkv")
    assert "--overwrite" in run_archive(job).failures[_masked(remote, "raw/day/a.mkv")]


def test_no_permission_is_one_line_before_any_work(lab: Lab, remote: Remote) -> None:
    source = str(lab.record("a.mkv", 10))
    # A folder may be there already; only what lies in it is refused.
    job = lab.job(sources=(source,), target=f"{remote.url}/colour")
    with remote.refusing(), pytest.raises(OutputError, match="colour: cannot be written") as told:
        run_archive(job)
    assert "\n" not in str(told.value) and "pass" not in str(told.value)
    assert not any(one.runs for one in lab.made)
    assert run_archive(job).complete


def test_an_empty_place_and_one_that_is_not_there(lab: Lab, remote: Remote) -> None:
    with pytest.raises(InputError, match="expected recordings"):
        lab.run(sources=(f"{remote.url}/empty",))
    if remote.url.startswith("s3"):
        source = str(lab.record("a.mkv", 10))
        with pytest.raises(OutputError, match=r"s3://none/colour: cannot be written"):
            lab.run(sources=(source,), target="s3://none/colour")


def test_a_host_that_nobody_knows_is_refused(sftp: Remote, tmp_path: Path) -> None:
    sftp_driver().clear_instance_cache()
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(InputError, match=r"cannot be used \(.*not found in known_hosts") as told:
        open_store(sftp.url)
    assert "pass" not in str(told.value)


def test_a_lost_connection_is_made_again(sftp: Remote) -> None:
    store = open_store(sftp.url)
    store.write("a", b"1")
    sftp.files.client.get_transport().close()
    assert store.read("a") == b"1"


def test_an_unknown_scheme_names_what_is_missing() -> None:
    pytest.importorskip("fsspec", reason="fsspec comes with the extra scale")
    with pytest.raises(InputError, match="nosuch"):
        open_store("nosuch://lab/raw")


@pytest.mark.parametrize(
    ("module", "url"),
    [("fsspec", "s3://lab/raw"), ("gcsfs", "gs://lab/raw"), ("paramiko", "sftp://lab/raw")],
)
def test_without_the_driver_the_extra_is_named(
    module: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module != "fsspec":
        registry = pytest.importorskip("fsspec.registry", reason="fsspec comes with scale")
        # As in a process that has not used it yet.
        monkeypatch.delitem(registry._registry, "gs", raising=False)
        sftp_driver.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"ladle-rt\[scale\]"):
        open_store(url)


def _junk(folder: Path) -> Path:
    path = folder / "junk.mkv"
    path.write_bytes(b"junk")
    return path


def _masked(remote: Remote, name: str) -> str:
    return f"{remote.url.replace('lab:pass@', '***@')}/{name}"
