"""The keys of exec's ``config`` that limit a process: ``nice``, ``rlimits``, ``cgroup``."""

from __future__ import annotations

from collections.abc import Mapping

from overseer.process.cgroup import Cgroup
from overseer.process.setup import RLIMITS
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, quoted
from overseer.schema.nodes import MapNode, Node, Scalar, unexpected
from overseer.schema.quantities import COUNT, NUMBER, Integer, Size
from overseer.schema.types import BOOLEAN, FieldType, Json
from overseer.util.suggest import did_you_mean

_SIZES = {"as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack"}  # in bytes
_SIZE = Size()
_UNLIMITED = -1
_MISSING = " (not available here)"


class Niceness(FieldType):
    """From -20 to 19."""

    label = "number"

    def from_yaml(self, node: Node, location: Location) -> int:
        text = self.scalar(node, "a number from -20 to 19").text
        try:
            value = int(text)
        except ValueError:
            value = 20
        if not -20 <= value <= 19:
            raise unexpected(node, "a number from -20 to 19")
        return value

    def yaml_schema(self) -> Json:
        return {"type": "integer", "minimum": -20, "maximum": 19}


class Rlimits(FieldType):
    """Limits of resources by name; the value has the soft and the hard one of each."""

    label = "mapping of limits"
    _FORM = "a limit, SOFT:HARD or unlimited"

    def from_yaml(self, node: Node, location: Location) -> dict[str, tuple[int, int]]:
        if not isinstance(node, MapNode):
            raise unexpected(node, f"a {self.label}")
        found = {}
        for name, entry in node.entries.items():
            here = location.child(name, entry.line)
            try:
                if name not in RLIMITS:
                    raise ValueError(f"no such limit {quoted(name)}{did_you_mean(name, RLIMITS)}")
                found[name] = self._pair(name, self.scalar(entry.node, self._FORM), here)
            except ValueError as error:
                here.error(str(error))
        return found

    def _pair(self, name: str, scalar: Scalar, location: Location) -> tuple[int, int]:
        words = scalar.text.split(":")
        if len(words) > 2:
            raise unexpected(scalar, self._FORM)
        soft, hard = (_limit(name, word.strip(), scalar, location) for word in (words[0], words[-1]))
        if hard != _UNLIMITED and not 0 <= soft <= hard:
            raise ValueError(f"the soft limit {words[0]} is above the hard one, {words[-1]}")
        return soft, hard

    def yaml_schema(self) -> Json:
        value: Json = {"type": ["string", "integer"]}
        return {
            "type": "object",
            "properties": dict.fromkeys(RLIMITS, value),
            "additionalProperties": False,
        }


def _limit(name: str, word: str, scalar: Scalar, location: Location) -> int:
    if word == "unlimited":
        return _UNLIMITED
    if word == "0":
        return 0
    as_written = Scalar(word, "str", True, scalar.line)
    of_this: FieldType = _SIZE if name in _SIZES else COUNT
    value: int = of_this.from_yaml(as_written, location)
    return value


class Cpus(FieldType):
    """A number of CPUs, possibly a fraction."""

    label = "number"
    _LEAST = 0.01  # the kernel's least quota

    def from_yaml(self, node: Node, location: Location) -> float:
        cpus = NUMBER.from_yaml(node, location)
        if not self._LEAST <= cpus <= 1_000_000:
            raise unexpected(node, f"a number of CPUs from {self._LEAST} up")
        return cpus

    def yaml_schema(self) -> Json:
        return {"type": "number", "minimum": self._LEAST}


@declared()
class CgroupSection:
    """``cgroup``: a control group for each run, with limits for all of its processes together.

    It requires cgroups version 2, and one delegated to the server.
    """

    memory_max: int | None = field(
        Size(),
        "Memory of all its processes together; beyond it, the kernel kills some of them.",
        default=None,
    )
    cpu_max: float | None = field(Cpus(), "CPUs that they may use together, such as 1.5.", default=None)
    pids_max: int | None = field(Integer(1), "The maximum number of processes and threads.", default=None)
    require: bool = field(
        BOOLEAN,
        "Whether the configuration is refused, and a start fails, if this is not available. Otherwise there "
        "is a warning, and tasks run without it.",
        default=False,
    )

    def made(self) -> Cgroup:
        return Cgroup(self.memory_max, self.cpu_max, self.pids_max, self.require)


def shown_limits(limits: Mapping[str, tuple[int, int]]) -> str:
    """The limits as one would write them."""
    return ", ".join(f"{name} {_shown(name, pair)}" for name, pair in limits.items())


def shown_cgroup(cgroup: Cgroup | None) -> str:
    """A cgroup's limits, those unavailable here marked."""
    if cgroup is None:
        return ""
    values = {
        "memory_max": None if cgroup.memory_max is None else _SIZE.shown(cgroup.memory_max).strip("`"),
        "cpu_max": cgroup.cpu_max,
        "pids_max": cgroup.pids_max,
    }
    missing = {key for key, _ in cgroup.faults()}
    limits = [
        f"{key} {value}{_MISSING if f'cgroup.{key}' in missing else ''}"
        for key, value in values.items()
        if value is not None
    ]
    shown = ", ".join(limits) or "its own"
    return f"{shown}{_MISSING}" if "cgroup" in missing else shown


def _shown(name: str, pair: tuple[int, int]) -> str:
    def shown(value: int) -> str:
        if value == _UNLIMITED:
            return "unlimited"
        return _SIZE.shown(value).strip("`") if name in _SIZES and value else str(value)

    soft, hard = map(shown, pair)
    return soft if soft == hard else f"{soft}:{hard}"
