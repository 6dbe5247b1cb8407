"""SFTP by fsspec's driver, made fit for days of work and strict about whom it talks to."""

from __future__ import annotations

import functools
import threading
from typing import Any

from ladle_rt.errors import require

CONNECT_S = 30.0
KEEP_ALIVE_S = 30
"""Between signs of life: a segment is translated for minutes in which nothing is sent."""


def open_sftp(url: str) -> tuple[Any, str]:
    """File system and path of ``sftp://[USER[:PASSWORD]@]HOST[:PORT]/PATH``.

    Keys come from the agent and from ``~/.ssh``; the host has to be in ``known_hosts`` there.

    Raises:
        MissingDependencyError: paramiko is not installed.
        Exception: what paramiko has to say about the host.
    """
    driver = _driver()
    return driver(**driver._get_kwargs_from_urls(url)), driver._strip_protocol(url)


@functools.cache
def _driver() -> Any:
    paramiko: Any = require("paramiko", "scale")
    from fsspec.implementations.sftp import SFTPFileSystem

    class Sftp(SFTPFileSystem):  # type: ignore[misc]
        """One connection, made again when it is gone."""

        protocol = ("sftp", "ssh")

        def _connect(self) -> None:
            client = paramiko.SSHClient()
            # The driver itself takes whoever answers.
            client.load_system_host_keys()
            client.connect(self.host, timeout=CONNECT_S, **self.ssh_kwargs)
            client.get_transport().set_keepalive(KEEP_ALIVE_S)
            self.client, self._open_ftp = client, client.open_sftp()

        @property
        def ftp(self) -> Any:
            """The driver does everything through this."""
            with _reviving:
                if not self.client.get_transport().is_active():
                    self._connect()
            return self._open_ftp

        def makedirs(self, path: str, exist_ok: bool = False, mode: int = 0o777) -> None:
            """Also where another worker makes the same folder at this moment."""
            try:
                super().makedirs(path, exist_ok, mode)
            except OSError:
                super().makedirs(path, exist_ok, mode)

    return Sftp


_reviving = threading.Lock()
