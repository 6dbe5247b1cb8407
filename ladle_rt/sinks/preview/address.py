"""Where the page is served, and what a person opens to see it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import psutil

from ladle_rt.errors import ConfigError

EVERYWHERE = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}
"""Hosts that stand for every address of the machine, and the kind they stand for."""
VIRTUAL = ("docker", "br-", "veth", "virbr")
"""Interfaces behind which no other machine is."""


@dataclass(frozen=True, slots=True)
class PreviewAddress:
    """Where the page is served."""

    host: str
    port: int
    """0 takes any free one."""

    @classmethod
    def parse(cls, text: str) -> PreviewAddress:
        """From ``[HOST:]PORT``; an IPv6 host is written in brackets.

        Raises:
            ConfigError: not of that form.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (port.isascii() and port.isdecimal() and int(port) < 65_536):
            raise ConfigError(f"preview must be [HOST:]PORT such as 8080, received {text!r}")
        return cls(host or "127.0.0.1", int(port))

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def listen(self) -> socket.socket:
        """Bind it; a name is served at one of its addresses, IPv4 before IPv6.

        Raises:
            OSError: no such name, or its port is taken.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        family, *_, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        return socket.create_server(place[:2], family=family)

    def urls(self, port: int, token: str | None) -> list[str]:
        """What a person opens: here first, then from other machines of the network."""
        hosts = [self.host]
        if self.host in EVERYWHERE:
            hosts = ["localhost", *_network_addresses(EVERYWHERE[self.host])]
        query = f"?token={token}" if token else ""
        return [f"http://{f'[{host}]' if ':' in host else host}:{port}/{query}" for host in hosts]


def is_loopback(host: str) -> bool:
    """Whether a name or address always means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _network_addresses(family: socket.AddressFamily) -> list[str]:
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        if name not in up or name.startswith(VIRTUAL):
            continue
        for one in addresses:
            if one.family == family:
                address = ipaddress.ip_address(one.address.partition("%")[0])
                if not (address.is_loopback or address.is_link_local):
                    found.append(str(address))
    return found
