"""Addresses: as people may see them, without credentials, and those of inference servers."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ladle_rt.errors import ConfigError

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*(?:@[^/@\s]*)*@")
_SECRET_PARAMETERS = re.compile(
    r"(?i)(?<=[?&])((?:[^=&\s]*(?:pass|pwd|token|secret|key|auth|user)[^=&\s]*)=)[^&\s]*"
)


def masked(text: str) -> str:
    """A text with the credentials of every address in it replaced by ``***``.

    Args:
        text: an address such as ``rtsp://user:secret@host/x``, or any message that holds some.
    """
    return _SECRET_PARAMETERS.sub(r"\1***", _CREDENTIALS.sub("***@", text))


SERVER_PORTS = {"grpc": 8001, "grpcs": 8001, "http": 8000, "https": 8000}
"""Ways to a server that speaks KServe v2, and Triton's ports for them."""
_SERVER_FORM = "grpc://HOST:PORT[/MODEL[/VERSION]] (also grpcs, http, https)"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A model on an inference server: ``grpc://gpu1:8001/ladlenet/2``."""

    scheme: str
    """One of `SERVER_PORTS`."""
    host: str
    port: int
    model: str = ""
    """Its name there; empty: the name that ``ladle-rt export --triton`` gives it."""
    version: str = ""
    """A number; empty: the one that the server serves."""

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """An address as people write it.

        Raises:
            ConfigError: another form, an unknown scheme, or one that holds credentials.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise ConfigError(
                f"server: expected {_SERVER_FORM}, received {masked(text)!r}"
            ) from None
        model, _, version = parts.path.strip("/").partition("/")
        fits = (
            parts.scheme in SERVER_PORTS
            and parts.hostname
            and port != 0
            and not parts.query
            and not parts.fragment
            and (not version or version.isdecimal())
        )
        if not fits or parts.hostname is None:
            raise ConfigError(f"server: expected {_SERVER_FORM}, received {masked(text)!r}")
        if "@" in parts.netloc:
            raise ConfigError(f"server: expected {masked(text)} without name and password")
        return cls(parts.scheme, parts.hostname, port or SERVER_PORTS[parts.scheme], model, version)

    @property
    def place(self) -> str:
        """``host:port``, as the client libraries take it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether its name says that it runs on this machine."""
        return self.host in (
            "localhost",
            "::1",
            socket.gethostname().lower(),
        ) or self.host.startswith("127.")

    def __str__(self) -> str:
        model = f"/{self.model}" if self.model else ""
        return f"{self.scheme}://{self.place}{model}{self.version and '/'}{self.version}"
