"""Addresses of inference servers, as people write them."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from ladle_rt.addresses import ServerAddress
from ladle_rt.cli import cli
from ladle_rt.config import RemoteOptions, TranslateOptions
from ladle_rt.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("grpc://gpu1:9001", ("grpc", "gpu1", 9001, "", "")),
        ("grpc://gpu1", ("grpc", "gpu1", 8001, "", "")),
        ("http://10.0.0.7/ladlenet/", ("http", "10.0.0.7", 8000, "ladlenet", "")),
        (" grpcs://[::1]:8001/ladlenet/2", ("grpcs", "::1", 8001, "ladlenet", "2")),
    ],
)
def test_what_is_understood(text: str, parts: tuple[object, ...]) -> None:
    found = ServerAddress.parse(text)
    assert (found.scheme, found.host, found.port, found.model, found.version) == parts
    assert ServerAddress.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["gpu1:8001", "ftp://gpu1", "grpc://", "grpc://gpu1:0", "grpc://gpu1:99999", "grpc://h/m/x",
     "http://h/?a=1", ""],
)  # fmt: skip
def test_what_is_not(text: str) -> None:
    with pytest.raises(ConfigError, match="server: expected grpc://HOST:PORT"):
        ServerAddress.parse(text)


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="without name and password") as raised:
        ServerAddress.parse("grpc://me:secret@gpu1:8001")
    assert "secret" not in str(raised.value)


def test_which_are_of_this_machine() -> None:
    here = ["localhost", "127.0.0.1", "[::1]", socket.gethostname()]
    assert all(ServerAddress.parse(f"grpc://{host}").is_local for host in here)
    assert not ServerAddress.parse("grpc://gpu1.example").is_local
    assert ServerAddress.parse("grpc://[::1]:7").place == "[::1]:7"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"urls": ("grpc://a", "grpc://a:8001")}, "each once"),
        ({"deadline_s": 0}, "deadline_s must be within"),
        ({"outage_s": 1e9}, "outage_s must be within"),
        ({"urls": ("a",)}, "server: expected"),
    ],
)
def test_servers_that_make_no_sense(values: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        RemoteOptions(**values)  # type: ignore[arg-type]


def test_servers_and_backend_go_together() -> None:
    for options in ({"backend": "triton"}, {"remote": RemoteOptions(("grpc://a",))}):
        with pytest.raises(ConfigError, match="go together: --backend triton --url grpc://"):
            TranslateOptions(**options)  # type: ignore[arg-type]


def test_on_the_command_line() -> None:
    done = CliRunner().invoke(cli, ["video", "a", "b", "--backend", "triton", "--url", "tcp://a"])
    assert done.exit_code == 2 and "server: expected grpc://HOST:PORT" in done.output
