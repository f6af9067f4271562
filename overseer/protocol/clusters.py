"""What messages say of clusters that tasks run on."""

from __future__ import annotations

from overseer.protocol.declare import value
from overseer.schema.fields import field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import COUNT
from overseer.schema.types import BOOLEAN, TEXT


@value()
class ClusterWorker:
    """A worker of a cluster: a process that tasks run beside, on its machine."""

    name: str = field(TEXT, "Its name in the cluster")
    address: str = field(TEXT, "Its address")
    state: str = field(TEXT, "Its state, as the cluster reports it: running, paused, closing...")
    threads: int = field(COUNT, "How many tasks it takes at once")
    busy: int | None = optional(
        COUNT,
        "How many threads are busy, with whatever; absent where you may not see all actions",
        default=None,
    )
    tasks: tuple[str, ...] = field(ListOf(TEXT), "Those of this server's tasks that run there", default=())


@value()
class ClusterInfo:
    """A cluster that tasks run on."""

    address: str = field(TEXT, "Where its scheduler listens")
    actions: tuple[str, ...] = field(ListOf(TEXT), "The actions that run there")
    connected: bool = field(BOOLEAN, "Whether there is a connection to it")
    error: str = optional(TEXT, "Why there is none", default="")
    waiting: tuple[str, ...] = field(ListOf(TEXT), "The tasks that wait for a place there", default=())
    workers: tuple[ClusterWorker, ...] = field(
        ListOf(Object(ClusterWorker)), "Its workers, by name", default=()
    )
