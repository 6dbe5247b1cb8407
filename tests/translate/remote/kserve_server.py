"""A small server that speaks KServe v2, by gRPC with tritonclient's own service and by HTTP.

    python kserve_server.py MODEL.onnx GRPC_PORT

serves a model until it is killed. In a test, `serve` runs one in threads of the test itself, with
whatever `Served` is told to do wrong.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

HEADER = "Inference-Header-Content-Length"


class RefusedError(Exception):
    """What the server says no to."""

    def __init__(self, code: str, line: str) -> None:
        super().__init__(line)
        self.code = code


@dataclass
class Served:
    """A model, what it claims to be, and how the server misbehaves."""

    onnx: Path
    name: str = "tiny"
    datatype: str = "FP32"
    """Of the input, as the metadata claim it."""
    input_name: str = "thermal"
    delay_s: float = 0.0
    channels: int = 3
    """Of the answer; more are cut off."""
    shares_memory: bool = True
    largest: int = 4096
    """Height of a frame that is taken."""
    frames: int = 0
    """Asked for so far."""
    through_memory: int = 0
    regions: dict[str, mmap.mmap] = field(default_factory=dict)
    unregistered: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(self.onnx), options, providers=["CPUExecutionProvider"]
        )

    def metadata(self, name: str) -> dict[str, Any]:
        if name != self.name:
            raise RefusedError("NOT_FOUND", f"Request for unknown model: '{name}' is not found")
        given = {"name": self.input_name, "datatype": self.datatype, "shape": [-1, 1, -1, -1]}
        made = {"name": "rgb", "datatype": "FP32", "shape": [-1, 3, -1, -1]}
        return {
            "name": name,
            "versions": ["1"],
            "platform": "",
            "inputs": [given],
            "outputs": [made],
        }

    def run(self, name: str, thermal: np.ndarray) -> np.ndarray:
        self.metadata(name)
        if thermal.shape[2] > self.largest:
            raise RefusedError("INVALID_ARGUMENT", f"unexpected shape {list(thermal.shape)}")
        with self.lock:
            self.frames += 1
        time.sleep(self.delay_s)
        output = self.session.run(["rgb"], {"thermal": thermal})[0]
        return np.ascontiguousarray(output[:, : self.channels])

    def register(self, name: str, key: str, size: int) -> None:
        if not self.shares_memory:
            raise RefusedError("INVALID_ARGUMENT", f"Unable to open shared memory region: '{key}'")
        # Not by Python's class, which would take it for its own and remove it.
        with open(f"/dev/shm{key}", "r+b") as file:
            self.regions[name] = mmap.mmap(file.fileno(), size)

    def unregister(self, name: str) -> None:
        del self.regions[name]
        self.unregistered.append(name)

    def region(self, name: str) -> memoryview:
        if name not in self.regions:
            raise RefusedError("NOT_FOUND", f"Unable to find system shared memory region: '{name}'")
        self.through_memory += 1
        return memoryview(self.regions[name])


class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The published service over a `Served`."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        with refusing(context):
            facts = self.served.metadata(request.name)
            answer = pb.ModelMetadataResponse(name=facts["name"], versions=facts["versions"])
            for kind in ("inputs", "outputs"):
                getattr(answer, kind).extend(
                    pb.ModelMetadataResponse.TensorMetadata(**one) for one in facts[kind]
                )
        return answer

    def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802
        model = pb.RepositoryIndexResponse.ModelIndex(name=self.served.name, state="READY")
        return pb.RepositoryIndexResponse(models=[model])

    def SystemSharedMemoryRegister(self, request: Any, context: Any) -> Any:  # noqa: N802
        with refusing(context):
            self.served.register(request.name, request.key, request.byte_size)
        return pb.SystemSharedMemoryRegisterResponse()

    def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> Any:  # noqa: N802
        with refusing(context):
            self.served.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        (given,) = request.inputs
        (wanted,) = request.outputs
        with refusing(context):
            assert given.datatype == "FP32"
            source = given.parameters["shared_memory_region"].string_param
            raw = self.served.region(source) if source else request.raw_input_contents[0]
            count = int(np.prod(given.shape))
            thermal = np.frombuffer(raw, np.float32, count).reshape(given.shape)
            output = self.served.run(request.model_name, thermal)
            answer = pb.ModelInferResponse(model_name=request.model_name)
            answer.outputs.add(name=wanted.name, datatype="FP32", shape=output.shape)
            target = wanted.parameters["shared_memory_region"].string_param
            if target:
                self.served.region(target)[: output.nbytes] = output.tobytes()
            else:
                answer.raw_output_contents.append(output.tobytes())
            del thermal, raw
        return answer


@contextlib.contextmanager
def refusing(context: Any) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        context.abort(getattr(grpc.StatusCode, error.code), str(error))


class Handler(BaseHTTPRequestHandler):
    """The same over HTTP, with tensors in the binary form of the protocol's extension."""

    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self) -> None:
        self._answer(lambda: (self.served.metadata(self.path.split("/")[3]), b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        length = int(self.headers.get(HEADER, len(body)))
        if self.path == "/v2/repository/index":
            self._answer(lambda: ([{"name": self.served.name, "state": "READY"}], b""))
            return
        if "/systemsharedmemory/" in self.path:
            self._answer(lambda: (self.share(json.loads(body[:length] or b"{}")), b""))
            return
        request = json.loads(body[:length])

        def infer() -> tuple[Any, bytes]:
            (given,) = request["inputs"]
            thermal = np.frombuffer(body[length:], np.float32).reshape(given["shape"])
            output = self.served.run(self.path.split("/")[3], thermal)
            facts = {"name": "rgb", "datatype": "FP32", "shape": list(output.shape)}
            facts["parameters"] = {"binary_data_size": output.nbytes}  # type: ignore[assignment]
            return {"model_name": self.served.name, "outputs": [facts]}, output.tobytes()

        self._answer(infer)

    def share(self, request: dict[str, Any]) -> dict[str, Any]:
        raise RefusedError("INVALID_ARGUMENT", "no shared memory here")

    def _answer(self, make: Any) -> None:
        status, raw = 200, b""
        try:
            facts, raw = make()
        except RefusedError as error:
            status = 404 if error.code == "NOT_FOUND" else 400
            facts = {"error": str(error)}
        text = json.dumps(facts).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text) + len(raw)))
        if raw:
            self.send_header(HEADER, str(len(text)))
        self.end_headers()
        self.wfile.write(text + raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def serve(served: Served, port: int = 0) -> Iterator[str]:
    """A gRPC server in threads of its own; yields its address."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(served), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait(10)


@contextlib.contextmanager
def serve_http(served: Served) -> Iterator[str]:
    """The same by HTTP."""
    handler = type("OfThis", (Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with serve(Served(Path(sys.argv[1])), int(sys.argv[2])) as address:
        print(address, flush=True)
        threading.Event().wait()
