"""What a pool counts: the tasks that run, and how many may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from overseer.protocol import ExcessConfig, PoolConfig
from overseer.supervisor.pool.policy import has_room


@dataclass(slots=True)
class Slot:
    """A task that counts as running."""

    action: str
    forced: bool  # its start was, which matters if it is requeued
    leaving: bool = False  # already told to stop


@dataclass(slots=True)
class Scope:
    """Settings and counts of one action, or the global ones."""

    limit: int
    excess: ExcessConfig
    running: int = 0
    leaving: int = 0  # of those running

    @property
    def has_room(self) -> bool:
        return has_room(self.limit, self.running)


def own_pools(
    global_pool: PoolConfig, action_pools: Mapping[str, PoolConfig | None]
) -> Mapping[str, PoolConfig]:
    """Each action's own pool; of one without a config, no limit and the global excess settings."""
    return {
        action: PoolConfig(excess=global_pool.excess) if config is None else config
        for action, config in action_pools.items()
    }
