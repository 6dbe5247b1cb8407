"""What TensorRT-RTX compiles at a plan's first run, kept for the next start."""

from __future__ import annotations

import hashlib
from typing import Any

from ladle_rt.cuda.compile import cache_folder, keep


class RuntimeCache:
    """The cache of one plan, in a file beside the compiled kernels.

    TensorRT-RTX itself refuses a file of another version, GPU or driver; it is then made anew.

    Args:
        runtime_config: ``IRuntimeConfig`` of the plan's engine; the cache is set there.
        plan: bytes of the plan, which name the file.
    """

    def __init__(self, runtime_config: Any, plan: bytes) -> None:
        digest = hashlib.sha256(plan).hexdigest()[:16]
        self._path = cache_folder() / f"tensorrt-rtx-{digest}.cache"
        self._cache = runtime_config.create_runtime_cache()
        try:
            self._kept = self._path.read_bytes()
        except OSError:
            self._kept = b""
        if self._kept:
            self._cache.deserialize(self._kept)
        runtime_config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write the file if there is anything new; a folder that cannot be written only warns."""
        serialized = self._cache.serialize()
        made = bytes(serialized) if serialized is not None else b""
        if made and made != self._kept:
            keep(self._path, made)
            self._kept = made
