"""The behaviours of a driver that can run a shell's script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from overseer.testing.script import Behaviours, Script


class ShellScripts(Behaviours):
    """All of them but those that the settings decide."""

    def script(self, text: str) -> Script:
        """Runs a script with ``sh -c``, whose output and end are the run's."""
        raise NotImplementedError("override script(), to say how the driver runs one")

    def prints(self, lines: Sequence[str]) -> Script | None:
        return self.script(f"printf '%s\\n' {shlex.join(lines)}" if lines else ":")

    def prints_bytes(self, data: bytes) -> Script | None:
        octal = "".join(f"\\{byte:03o}" for byte in data)
        return self.script(f"printf '{octal}'")

    def counts(self, last: int, width: int) -> Script | None:
        return self.script(f"exec seq -f %0{width}.0f {last}")

    def exits(self, code: int) -> Script | None:
        return self.script(f"exit {code}")

    def dies(self) -> Script | None:
        return self.script("kill -9 $$")

    def runs_until_stopped(self) -> Script | None:
        return _up(self.script("echo up; exec sleep 600"))

    def ignores_stop(self) -> Script | None:
        return _up(self.script("trap '' TERM; echo up; while :; do sleep 600; done"))


def _up(script: Script) -> Script:
    return Script(script.params, script.config, lines=["up"])
