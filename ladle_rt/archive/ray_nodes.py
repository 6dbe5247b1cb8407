"""What the nodes of a Ray cluster have installed, asked before any of them gets work.

A task of another version may not even be readable there, and Ray would say so in words of pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av

from ladle_rt import __version__
from ladle_rt.errors import BackendError

Installed = tuple[str, str, str]
"""Name of the machine, version of this program and of PyAV; empty where there is none."""
ANSWER_S = 60.0
"""How long nodes may take. One that starts slower is not refused: workers look again."""


def refuse_other_versions(ray: Any, address: str) -> None:
    """Ask every node that is up.

    Args:
        ray: the module, connected.
        address: of the cluster, for the message.

    Raises:
        BackendError: a node has no ladle-rt, or another one, or another PyAV, whose segments
            could not be joined with those of others.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(_asking())
    asked = [
        ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in ray.nodes()
        if node["Alive"]
    ]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=ANSWER_S)
    for answer in answered:
        try:
            name, program, pyav = ray.get(answer)
        except ray.exceptions.RayError:
            # The node has gone meanwhile; Ray gives it no work either.
            continue
        for what, there, here in (
            ("ladle-rt", program, __version__),
            ("PyAV", pyav, av.__version__),
        ):
            if there != here:
                raise BackendError(
                    f"{address}: expected {what} {here} on every node, received "
                    f"{there or 'none'} on {name}; install the same on all"
                )


def _asking() -> Callable[[], Installed]:
    # A function within a function travels with its code; the node's own module may lack it.
    def installed() -> Installed:
        import importlib
        import platform

        def version(module: str) -> str:
            try:
                return str(importlib.import_module(module).__version__)
            except ImportError:
                return ""

        return platform.node(), version("ladle_rt"), version("av")

    return installed
