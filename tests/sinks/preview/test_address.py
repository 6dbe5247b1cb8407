"""Where the page is served."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.sinks.preview.address import PreviewAddress


def test_forms() -> None:
    assert PreviewAddress.parse("8080") == PreviewAddress("127.0.0.1", 8080)
    assert PreviewAddress.parse("[::1]:80").local and PreviewAddress.parse("localhost:80").local
    assert not PreviewAddress.parse("0.0.0.0:80").local
    assert not PreviewAddress.parse("box.lan:80").local
    for wrong in ("", "host", "host:", "host:99999", ":x", "١٢:٣"):
        with pytest.raises(ConfigError, match=r"\[HOST:\]PORT"):
            PreviewAddress.parse(wrong)


def test_what_is_told() -> None:
    assert PreviewAddress("127.0.0.1", 0).urls(81, None) == ["http://127.0.0.1:81/"]
    assert PreviewAddress("fd00::1", 0).urls(81, "abc") == ["http://[fd00::1]:81/?token=abc"]


def test_addresses_of_the_network_are_told() -> None:
    here, *others = PreviewAddress("0.0.0.0", 0).urls(81, "abc")
    assert here == "http://localhost:81/?token=abc"
    hosts = {urlsplit(url).hostname for url in others}
    mine = {
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family == socket.AF_INET
    }
    assert hosts <= mine - {"127.0.0.1"}
    # The one that the machine would speak from, where it has a way out.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        assert probe.getsockname()[0] in hosts
    for url in PreviewAddress("::", 0).urls(81, "")[1:]:
        assert ":" in (urlsplit(url).hostname or "")


def test_what_cannot_be_served(serve: Callable[..., Any]) -> None:
    page = serve()
    with pytest.raises(OutputError, match="choose another port"):
        serve(str(urlsplit(page.url).port))
    for token in ("short", "with spaces in", "mit-umläuten", "semi;colons;"):
        with pytest.raises(ConfigError, match="at least 8"):
            serve("0", token)
