"""Networks on Triton and other servers that speak KServe v2 (extra ``triton``).

Everything but the network stays here. A frame goes to one of the servers; where that fails, the
next one gets it, and where all are away it waits: no frame is lost, none is translated twice.
"""

from __future__ import annotations

import itertools
import logging

import numpy as np

from ladle_rt.addresses import ServerAddress
from ladle_rt.config import RemoteOptions
from ladle_rt.errors import BackendError, ConfigError, LadleError, ModelError
from ladle_rt.models.artifact import INPUT_NAME, ModelArtifact, file_stem
from ladle_rt.similarity import psnr_db
from ladle_rt.translate.network import (
    CHANNELS,
    Array,
    Output,
    Runner,
    check_interface,
    check_output,
    probe_frame,
)
from ladle_rt.translate.onnxruntime_backend import OnnxRuntimeNetwork
from ladle_rt.translate.remote.server_client import ServerClient, ServerError
from ladle_rt.translate.remote.server_memory import SharedFrames
from ladle_rt.translate.remote.server_pool import Server, ServerPool

logger = logging.getLogger("ladle_rt.engine")

LEAST_PSNR_DB = 30.0
"""Of a served picture to this model's by ONNX Runtime, on a ramp. INT8 has 39 or more."""


class TritonNetwork:
    """A network that servers run, every one of them checked before it gets a frame.

    Args:
        artifact: the model that the servers have to have; its own graph runs once, to compare.
        workers: how many frames are asked for at a time.
        output: what the runners give.
        remote: where the servers are.

    Raises:
        MissingDependencyError: tritonclient is not installed.
        BackendError: no server answers.
        ConfigError: a server has no model of this name.
        ModelError: a server's model is another one.
    """

    def __init__(
        self,
        artifact: ModelArtifact,
        workers: int = 1,
        output: Output = "rgb",
        *,
        remote: RemoteOptions,
    ) -> None:
        self._artifact, self._output, self._remote = artifact, output, remote
        reference = OnnxRuntimeNetwork(artifact, output=output).runner()
        self._expected = np.array(reference(probe_frame(artifact)))
        addresses = [ServerAddress.parse(url) for url in remote.urls]
        self._pool = ServerPool(addresses, remote.outage_s)
        self._homes = itertools.count()
        self._find_servers()

    @property
    def name(self) -> str:
        """The engine and where it runs."""
        return f"triton at {', '.join(str(one.address) for one in self._pool.servers)}"

    def runner(self) -> Runner:
        """For one worker, with connections of its own; they are closed when it is gone."""
        return _RemoteRunner(self, next(self._homes))

    def give_up(self) -> None:
        """See `PatientNetwork.give_up`; servers that answer go on."""
        self._pool.give_up()

    @property
    def pool(self) -> ServerPool:
        """The servers."""
        return self._pool

    def open(self, server: Server) -> _Session:
        """Connect to a server, and check what it serves if nobody has since it was away.

        Raises:
            ServerError: it does not answer.
            LadleError: it serves something else.
        """
        session = _Session(server.address, self._artifact, self._output, self._remote.deadline_s)
        with server.checking:
            if not server.checked:
                self._check(session)
                server.checked = True
        return session

    def _find_servers(self) -> None:
        """Check all servers.

        Raises:
            BackendError: none answers.
            LadleError: one answers and serves something else.
        """
        failures = []
        for server in self._pool.servers:
            try:
                self.open(server)
            except ServerError as error:
                failures.append((server, error))
        if len(failures) == len(self._pool.servers):
            reasons = "; ".join(f"{server.address}: {reason}" for server, reason in failures)
            raise BackendError(
                f"expected a server that speaks KServe v2, found none ({reasons}); start it or "
                "correct --url"
            )
        for server, reason in failures:
            self._pool.failed(server, reason)

    def _check(self, session: _Session) -> None:
        session.check_interface()

        pictures = []

        def run(thermal: Array) -> Array:
            pictures.append(session.infer(thermal))
            return pictures[0]

        try:
            check_output(self._artifact, run, self._output)
        except ModelError as error:
            cause = error.__cause__
            if isinstance(cause, ServerError) and not cause.final:
                raise cause from None
            raise ModelError(f"{session.place}: {error}") from error
        if self._output == "classes":
            return
        quality = psnr_db(pictures[0], self._expected)
        if quality < LEAST_PSNR_DB:
            raise ModelError(
                f"{session.place}: expected the model {self._artifact.info.name}, received the "
                f"pictures of another one ({quality:.0f} dB); export it with "
                "`ladle-rt export --triton`, or name it with --model"
            )


class _RemoteRunner:
    """The frames of one worker."""

    def __init__(self, network: TritonNetwork, home: int) -> None:
        self._network, self._home = network, home
        self._sessions: dict[Server, _Session] = {}

    def __call__(self, thermal: Array) -> Array:
        """See `Runner`."""
        pool = self._network.pool
        reason: Exception | None = None
        while True:
            for server in pool.candidates(self._home):
                try:
                    output = self._ask(server, thermal)
                except (ServerError, LadleError) as error:
                    self._sessions.pop(server, None)
                    if isinstance(error, ServerError) and error.final:
                        height, width = thermal.shape[2:]
                        raise BackendError(
                            f"{server.address} refuses a frame scaled to {width}x{height}: {error}"
                        ) from error
                    pool.failed(server, error)
                    reason = error
                else:
                    pool.answered(server)
                    return output
            pool.wait(reason)

    def _ask(self, server: Server, thermal: Array) -> Array:
        former = self._sessions.get(server)
        if former is not None:
            try:
                return former.infer(thermal)
            except ServerError as error:
                if not error.answered:
                    raise
                # A server that was restarted between two frames knows no shared memory.
                del self._sessions[server]
        session = self._sessions[server] = self._network.open(server)
        return session.infer(thermal)


class _Session:
    """One worker's connection to one server."""

    def __init__(
        self, address: ServerAddress, artifact: ModelArtifact, output: Output, deadline_s: float
    ) -> None:
        self.place = address
        self._model = address.model or file_stem(artifact.info.name)
        self._output = output
        self._client = ServerClient(address, deadline_s)
        self._shared = SharedFrames(self._client) if address.is_local else None
        self._sees_memory = False

    def check_interface(self) -> None:
        """Hold the served model to the contract.

        Raises:
            ServerError: no answer, or the model is not ready yet.
            ConfigError: no such model.
            ModelError: other names, types or shapes.
        """
        try:
            inputs, outputs = self._client.interface(self._model)
        except ServerError as error:
            known = self._models() if error.unknown or error.final else {}
            if self._model in known and self.place.version and error.unknown:
                raise ConfigError(f"{self.place}: {error}") from error
            if not known or known.get(self._model) in ("READY", "LOADING"):
                raise
            raise ConfigError(
                f"{self.place}: expected the model {self._model}, this server has "
                f"{', '.join(sorted(known))}; name it as in grpc://HOST:PORT/MODEL"
            ) from error
        check_interface(self.place, inputs, outputs, self._output)

    def infer(self, thermal: Array) -> Array:
        """float32 [N,1,H,W] to the output; valid until the next call.

        Raises:
            ServerError: no answer, a refusal, or an answer of another shape.
        """
        sides, output = self._run(thermal)
        count, _, height, width = thermal.shape
        expected = [count, CHANNELS[self._output], height, width]
        if sides != expected:
            raise ServerError(f"expected an output of shape {expected}, received {sides}", "501")
        return output.reshape(expected)

    def _run(self, thermal: Array) -> tuple[list[int], Array]:
        if self._shared is not None:
            try:
                answer = self._shared.infer(
                    self._model, INPUT_NAME, thermal, self._output, CHANNELS[self._output]
                )
                self._sees_memory = True
                return answer
            except ServerError as error:
                if self._sees_memory or not error.answered:
                    raise
                # In a container or behind a tunnel, an address of this machine is not enough.
                sides, output = self._send(thermal)
                logger.info("%s: without shared memory (%s)", self.place, error)
                self._shared = None
                return sides, output
        return self._send(thermal)

    def _send(self, thermal: Array) -> tuple[list[int], Array]:
        sides, output = self._client.infer(
            self._model, (INPUT_NAME, thermal.shape, thermal), self._output
        )
        assert output is not None, "it was not sent elsewhere"
        return sides, output

    def _models(self) -> dict[str, str]:
        try:
            return self._client.models()
        except ServerError:
            return {}
