"""What clients and /metrics are told of clusters that tasks run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from overseer.auth.rights import Principal
from overseer.drivers.api import ActionHandler, RemoteCluster
from overseer.protocol import ClusterInfo


def _by_cluster(
    handlers: Mapping[str, ActionHandler], principal: Principal
) -> Iterator[tuple[RemoteCluster, tuple[str, ...]]]:
    """Each cluster, with the actions on it that the principal sees."""
    found: dict[int, tuple[RemoteCluster, list[str]]] = {}
    for name, handler in handlers.items():
        cluster = handler.remote_cluster() if principal.sees(name) else None
        if cluster is not None:
            found.setdefault(id(cluster), (cluster, []))[1].append(name)
    for cluster, names in found.values():
        yield cluster, tuple(names)


def clusters_of(handlers: Mapping[str, ActionHandler], principal: Principal) -> tuple[ClusterInfo, ...]:
    """Each cluster as it is now; asks its scheduler, for some seconds at most."""
    whole = principal.scope is None
    return tuple(cluster.look(names, whole) for cluster, names in _by_cluster(handlers, principal))


def cluster_figures(
    handlers: Mapping[str, ActionHandler], principal: Principal
) -> Iterator[tuple[str, bool, int, Mapping[str, int]]]:
    """Of each cluster: its address, whether it is connected, how many tasks wait, and how many run, by
    host."""
    for cluster, names in _by_cluster(handlers, principal):
        yield cluster.address, *cluster.figures(names)
