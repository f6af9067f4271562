"""Executing the program that follows, and what it is given."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from overseer.errors import OverseerError
from overseer.upgrade.package import Package
from overseer.upgrade.standalone.stage import COPIES_ABOVE, MESSAGE, NAME
from overseer.util.findings import findings
from overseer.util.handover_format import VARIABLE, Outgoing, from_memory, to_memory

_DEADLINE_S = 60.0  # for the new program to take over, after which the old one is executed again
_MORE_DESCRIPTORS = 64  # that the new program may need before it has taken over
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


class Invocation(NamedTuple):
    """How Python was started.

    Attributes:
        options: of Python itself.
        kind: ``script``, ``module`` or ``code``.
        target: its path, name or text.
        arguments: the program's.
        rest: what followed the options.
    """

    options: list[str]
    kind: str
    target: str
    arguments: list[str]
    rest: list[str]


def invocation(argv: Sequence[str]) -> Invocation:
    """Take apart the arguments of Python, without its own name."""
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-":
        word = argv[at]
        if word in _WITH_VALUE:
            at += 2
            continue
        for kind, letter in (("module", "m"), ("code", "c")):
            found = word.find(letter, 1)
            if found > 0 and word[1] not in "-WX" and (word[1:found] or "x").isalpha():
                return _split(argv, at, word, found, kind)
        at += 1
    rest = list(argv[at:])
    return Invocation(list(argv[:at]), "script", rest[0] if rest else "", rest[1:], rest)


def _split(argv: Sequence[str], at: int, word: str, found: int, kind: str) -> Invocation:
    """``-m NAME``, ``-mNAME``, ``-Im NAME`` and the like."""
    options = [*argv[:at], *([word[:found]] if found > 1 else [])]
    rest = [f"-{word[found:]}", *argv[at + 1 :]]
    if word[found + 1 :]:
        return Invocation(options, kind, word[found + 1 :], rest[1:], rest)
    return Invocation(options, kind, rest[1], rest[2:], rest)


@dataclass(frozen=True, slots=True)
class Succession:
    """What the program before has passed on.

    Attributes:
        state: as bytes.
        began: since when nothing is read or sent (monotonic).
        asked: when the upgrade was asked for (monotonic).
        ended: tasks that it has ended for this.
        failure: why the program that was to follow did not; ``""``: this is that one.
        file: the descriptor of the state, or -1.
        kept: what was read of pipes while no program could be run, by descriptor.
    """

    state: bytes = field(repr=False)
    began: float = 0.0
    asked: float = 0.0
    ended: tuple[str, ...] = ()
    failure: str = ""
    file: int = -1
    kept: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    def commit(self) -> None:
        """This program has taken over, and does not go back any more."""
        findings.close()
        stage = sys.modules.get(NAME)
        if stage is not None:
            stage.STAGE.commit()
        os.close(self.file)


def use_findings(*, record: bool) -> None:
    """Use what this program's trial has found out; ``record``: this is the trial."""
    stage = getattr(sys.modules.get(NAME), "STAGE", None)
    findings.open(getattr(stage, "findings", {}), record=record)  # a stage of an earlier version has none


def replace_by(
    state: int,
    package: Package,
    compiled: int,
    out: Outgoing,
    more: Mapping[str, Any],
    variables: Mapping[str, str],
) -> NoReturn:
    """Execute the program that is installed now with this state, a file in memory; on the main thread.

    Args:
        package: what is gone back to if it fails.
        compiled: descriptor of what it compiled when it was tried out.
        out: the descriptors that it is given.
        more: what else a :class:`Succession` has; ``deadline``: seconds that the program has to take over;
            ``leaders``: the children that it is to reap.
        variables: for its environment, beside this one's.

    Raises:
        OSError: that is impossible; nothing has changed.
    """
    how = invocation(sys.orig_argv[1:])
    stage = package.stage()
    said = {
        **how._asdict(),
        "deadline": _DEADLINE_S,
        **more,
        "state": state,
        "archive": package.archive,
        "stage": stage,
        "place": package.place,
        "path": [str(each) for each in sys.path],
        "compiled": compiled,
        "descriptors": out.descriptors,
        "pipes": out.pipes,
    }
    file = to_memory(json.dumps(said).encode(), MESSAGE)
    passed = [file, state, package.archive, stage, compiled, *out.descriptors]
    command = [sys.executable, *how.options, f"/proc/self/fd/{stage}", *how.rest]
    try:
        for fd in passed:
            os.set_inheritable(fd, True)
        where = json.dumps({"pid": os.getpid(), "file": file})
        os.execve(command[0], command, {**os.environ, **variables, VARIABLE: where})
    except BaseException:
        for fd in passed:
            os.set_inheritable(fd, False)
        os.close(file)
        raise


def check_descriptors(out: Outgoing) -> None:
    """Check that there is room for a second of each descriptor, which going back takes.

    Raises:
        OverseerError: there is not.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = COPIES_ABOVE + 2 * len(out.descriptors) + _MORE_DESCRIPTORS
    if needed > limit:
        raise OverseerError(f"an upgrade takes {needed} open files, and the limit (RLIMIT_NOFILE) is {limit}")


def succession() -> Succession | None:
    """What the program before this one has passed on; None: there was none.

    Raises:
        OverseerError: it cannot be read; going on might mean serving without tokens.
    """
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return None
    try:
        said = json.loads(text)
        if said["pid"] != os.getpid():
            return None  # inherited from another server
        message = said["file"]
        said = json.loads(from_memory(message))
        os.close(message)
        file = said["state"]
        state = from_memory(file)
        os.set_inheritable(file, False)
        moments = said["began"], said.get("asked", said["began"])
        kept = {int(pipe): from_memory(each) for pipe, each in said.get("kept", {}).items()}
        return Succession(state, *moments, tuple(said["ended"]), said.get("failure", ""), file, kept)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise OverseerError(f"the state that was handed over cannot be read: {error}") from None
