"""What a connection makes of what comes, without a connection."""

from __future__ import annotations

from datetime import timedelta

from overseer.client.address import parse_url
from overseer.client.core import Core, Settings
from overseer.client.desk import Desk
from overseer.client.follower import Follower
from overseer.messages import Exited, Subscribed, TaskInfo, Tasks
from overseer.timestamps import now

T = now()


class Unconnected(Desk):
    """Counts what it would send."""

    def __init__(self) -> None:
        super().__init__(
            Core(Settings(parse_url("ws://nowhere"), "", None, 1.0, 0.0, 1.0, 1 << 20, lambda text: None))
        )
        self._live = True
        self.sent = 0

    def _send_locked(self, frame: bytes) -> None:
        self.sent += 1


def test_a_list_from_before_the_exit_is_asked_for_again_rather_than_believed():
    desk = Unconnected()
    follower = Follower("t", desk.core.lock, 1 << 20, lossless=True)
    info = TaskInfo(task_id="t", action="a", state="active", created_at=T, worker_state="running")
    over = TaskInfo(
        task_id="t",
        action="a",
        state="active",
        created_at=T,
        worker_state="exited",
        last_exited_at=T + timedelta(seconds=1),
    )
    with desk.core.lock:
        desk.follow_locked(follower)
        follower.subscribed_locked(Subscribed("x", "t", 0, 0, T), listed=False)
        desk._sort_locked([Exited("t", 7, 0, False, T + timedelta(seconds=1))])
        for asked in (1, 2, 3):
            assert (desk.sent, follower.over) == (asked, False)
            desk._sort_locked([Tasks(f"c{asked}", (info,))])
        desk._sort_locked([Tasks("c4", (over,))])
        assert (follower.over, follower.state) == (True, "ended")
