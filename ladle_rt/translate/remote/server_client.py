"""One connection to a server that speaks KServe v2, by gRPC or HTTP, through tritonclient.

The two halves of tritonclient have the same methods; what differs is here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ladle_rt.addresses import ServerAddress
from ladle_rt.errors import require
from ladle_rt.translate.network import Array

CONNECT_S = 5.0
"""To open a connection, at most."""
_FINAL = {
    *("FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE", "PERMISSION_DENIED"),
    *("UNAUTHENTICATED", "UNIMPLEMENTED", "400", "401", "403", "405", "413", "415", "422", "501"),
}
"""What a server says of a request that it will never take; all else may pass."""
_SILENT = {"", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}
_MICROSECONDS = 1e6


class ServerError(Exception):
    """What went wrong with a server, in one line."""

    def __init__(self, line: str, status: str = "") -> None:
        """
        Args:
            line: what was said.
            status: gRPC's or HTTP's; empty where no server answered.
        """
        super().__init__(line)
        self.final = status in _FINAL
        """Whether the same request will fail again."""
        self.unknown = status in ("NOT_FOUND", "404")
        """Whether what was asked for is not there."""
        self.answered = status not in _SILENT
        """Whether somebody said so; not after a deadline or a broken connection."""


@dataclass(frozen=True, slots=True)
class Region:
    """Shared memory as a server knows it."""

    name: str
    size: int
    """Bytes."""


class ServerClient:
    """A connection; for one thread, unless by gRPC.

    Args:
        address: of the server.
        deadline_s: for each call.

    Raises:
        MissingDependencyError: tritonclient is not installed, or not with this protocol.
    """

    def __init__(self, address: ServerAddress, deadline_s: float) -> None:
        self.address = address
        self._deadline_s = deadline_s
        secure = address.scheme in ("grpcs", "https")
        self._grpc = address.scheme.startswith("grpc")
        # tritonclient raises no ImportError where what a protocol needs is missing.
        require("grpc" if self._grpc else "geventhttpclient", "triton")
        name = "tritonclient.grpc" if self._grpc else "tritonclient.http"
        self._library = require(name, "triton")
        if self._grpc:
            # A channel of its own that tries again at once: by default gRPC waits up to two
            # minutes before it looks whether a restarted server is back.
            options = [
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", -1),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ]
            more: dict[str, Any] = {"channel_args": options}
            self._limits: dict[str, Any] = {"client_timeout": deadline_s}
            self._json: dict[str, Any] = {**self._limits, "as_json": True}
        else:
            connect_s = min(deadline_s, CONNECT_S)
            more = {"connection_timeout": connect_s, "network_timeout": deadline_s}
            if secure:
                more["ssl_context_factory"] = require("gevent.ssl", "triton").create_default_context
            self._limits = self._json = {}
        with self._errors():
            self._client = self._library.InferenceServerClient(address.place, ssl=secure, **more)

    def models(self) -> dict[str, str]:
        """Names of the server's models, and their states where it tells.

        Raises:
            ServerError: it does not answer, or has no list.
        """
        with self._errors():
            index = self._client.get_model_repository_index(**self._json)
        entries = index.get("models", []) if isinstance(index, dict) else index
        return {entry["name"]: entry.get("state", "") for entry in entries}

    def interface(self, model: str) -> tuple[list[Any], list[Any]]:
        """Name, element type and shape of a model's inputs, and of its outputs.

        Raises:
            ServerError: the server does not answer, or has no such model.
        """
        with self._errors():
            facts = self._client.get_model_metadata(model, self.address.version, **self._json)
            inputs, outputs = (
                [
                    (one["name"], _element(one["datatype"]), [_side(n) for n in one["shape"]])
                    for one in facts.get(kind, [])
                ]
                for kind in ("inputs", "outputs")
            )
        return inputs, outputs

    def infer(
        self,
        model: str,
        thermal: tuple[str, tuple[int, ...], Array | Region],
        output: str,
        target: Region | None = None,
    ) -> tuple[list[int], Array | None]:
        """Run the model.

        Args:
            model: its name.
            thermal: name and shape of the input, and its float32 values or where they lie.
            output: name of the one that is wanted.
            target: where it goes; ``None``: into the answer.

        Returns:
            The output's shape, and its float32 values where there is no ``target``; read only.

        Raises:
            ServerError: no answer within the deadline, or a refusal.
        """
        name, shape, values = thermal
        given = self._library.InferInput(name, list(shape), "FP32")
        wanted = self._library.InferRequestedOutput(output)
        if isinstance(values, Region):
            given.set_shared_memory(values.name, 4 * int(np.prod(shape)))
        else:
            given.set_data_from_numpy(values)
        if target is not None:
            wanted.set_shared_memory(target.name, target.size)
        with self._errors():
            result = self._client.infer(
                model,
                [given],
                self.address.version,
                outputs=[wanted],
                # For the server: what nobody waits for any more is not begun.
                timeout=round(self._deadline_s * _MICROSECONDS),
                **self._limits,
            )
            found = result.get_output(output)
            if found is None:
                raise ServerError(f"the answer has no output {output!r}")
            kind = found.datatype if self._grpc else found["datatype"]
            sides = [int(side) for side in (found.shape if self._grpc else found["shape"])]
            if kind != "FP32":
                raise ServerError(f"expected an output of FP32, received {kind}")
            return sides, None if target is not None else result.as_numpy(output)

    def register(self, region: Region, key: str) -> None:
        """Make shared memory known to the server.

        Raises:
            ServerError: it cannot see it, or has no such extension.
        """
        with self._errors():
            self._client.register_system_shared_memory(
                region.name, key, region.size, **self._limits
            )

    def unregister(self, region: Region) -> None:
        """Have the server forget shared memory.

        Raises:
            ServerError: it does not answer.
        """
        with self._errors():
            self._client.unregister_system_shared_memory(region.name, **self._limits)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):
            self._client.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn whatever the libraries raise into one line."""
        try:
            yield
        except ServerError:
            raise
        except self._library.InferenceServerException as error:
            status = str(error.status() or "").removeprefix("StatusCode.")
            line = " ".join(str(error.message() or "no reason given").split())
            if status == "DEADLINE_EXCEEDED":
                line = f"no answer within {self._deadline_s:g} s"
            raise ServerError(line, status) from error
        except TimeoutError as error:
            raise ServerError(f"no answer within {self._deadline_s:g} s") from error
        except Exception as error:
            # Of HTTP: sockets, gevent, a JSON that is none.
            line = " ".join(str(error).split()) or type(error).__name__
            raise ServerError(line) from error


def _element(kind: str) -> str:
    return {"FP32": "float32", "FP16": "float16", "UINT8": "uint8"}.get(kind, kind)


def _side(value: Any) -> int | None:
    """JSON of gRPC holds long integers as text."""
    return None if int(value) < 0 else int(value)
