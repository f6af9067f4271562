"""The request to upgrade the server, also over a connection that does not outlive that."""

from __future__ import annotations

from overseer.client.arguments import Seconds, seconds_of
from overseer.client.errors import ConnectionLostError, RefusedError
from overseer.client.requests import Requests
from overseer.protocol import Upgrade, Upgraded
from overseer.util.websocket_frame import CloseCode


class UpgradeRequests(Requests):
    def upgrade(
        self,
        *,
        check: bool = False,
        force: bool = False,
        wait: Seconds = 0,
        timeout: Seconds | None = None,
    ) -> Upgraded:
        """Have the server become the program that is installed now, with the same process; connections and
        tasks go on. If this connection is encrypted, it is made again, and nothing is missed.

        Args:
            check: only try whether it can.
            force: end tasks and services that cannot go on.
            wait: how long to wait for these to end by themselves; ``timeout`` begins after that.

        Raises:
            RefusedError: it cannot; the server has stayed what it is.
        """
        waits = seconds_of(wait, "wait") or 0.0
        asked = Upgrade("", check, force, round(waits * 1000))
        try:
            return self._expect(Upgraded, asked, self._seconds(timeout) + waits)
        except ConnectionLostError as lost:
            if lost.code != CloseCode.SERVICE_RESTART:
                raise
            failure = lost
        look = Upgrade("", check=True)
        last = self._expect(Upgraded, look, timeout, repeat=True).last
        if last is None:  # an older program
            raise failure
        if last.error:
            raise RefusedError(last.error, code="failed")
        went = last.tasks, last.clients, last.pause_ms, last.ended
        return Upgraded("", False, last.from_, last.to, *went)
