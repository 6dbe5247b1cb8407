"""A real Ray cluster whose nodes are all on this machine; the tests of archives have one too."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

NODE = {"memory": 4 << 30, "object_store_memory": 100 << 20, "include_dashboard": False}
"""Nodes share the machine's memory; what each has is only said."""
START_S = 240.0
"""For the processes of a node. Ray itself gives them 30, too few on a machine that is busy."""


@contextlib.contextmanager
def simulated_cluster(**head: Any) -> Iterator[Any]:
    """A cluster with a head that only directs, and no node yet; its usage reports are off.

    Args:
        head: more settings of the head.
    """
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": f"{1000 * START_S:.0f}",
    }
    with mock.patch.dict(os.environ, settings):
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            add_node(cluster, num_cpus=0, **head)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster: Any, **settings: Any) -> Any:
    """A node of one core that has started."""
    from ray._private import services

    with mock.patch.object(services, "get_node", _patient(services.get_node)):
        node = cluster.add_node(wait=False, **{"num_cpus": 1, **NODE, **settings})
    cluster._wait_for_node(node, START_S)
    return node


def _patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*arguments: Any, **settings: Any) -> Any:
        end_s = time.monotonic() + START_S
        while True:
            try:
                return get_node(*arguments, **settings)
            except RuntimeError:
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.1)

    return ask
