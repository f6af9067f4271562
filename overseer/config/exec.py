"""The ``config`` of actions that the built-in driver ``exec`` runs: its keys, compiled as they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from overseer.cel import compile_condition
from overseer.config.key_hints import hints_at
from overseer.config.parameters import Parameter, is_private, read_parameter
from overseer.config.process_limits import CgroupSection, Niceness, Rlimits
from overseer.errors import CelError, TemplateError
from overseer.process.cgroup import Cgroup
from overseer.process.environment import EnvFile
from overseer.process.stdin import STDIN
from overseer.protocol import ParamSpec
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, Path, quoted
from overseer.schema.nodes import ListNode, MapNode, Node
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.quantities import SIDE, Mode
from overseer.schema.types import BOOLEAN, Choice, FieldType, Text, TextList
from overseer.templates import Template, compile_template
from overseer.util.suggest import did_you_mean

if TYPE_CHECKING:
    from overseer.cel.program import Condition  # not loaded until an expression is compiled


class TemplateText(FieldType):
    """A text with ``[[ ]]`` in the file's dialect; the value is a Template."""

    label = "template"

    def __init__(self, empty: str = "") -> None:
        self._empty = empty  # the error for an empty text; "": allowed

    def from_yaml(self, node: Node, location: Location) -> Template:
        text = self.scalar(node, "text").text
        if self._empty and not text:
            raise ValueError(self._empty)
        try:
            return compile_template(text, location.report.templates, location.report.booleans)
        except TemplateError as error:
            raise ValueError(f"template: {error}") from None


def check_names(template: Template, known: tuple[str, ...], location: Location) -> None:
    """Report what a template looks up and there is not."""
    for name in sorted(template.names.difference(known)):
        hint = did_you_mean(name, known, prefix=".")
        location.error(f"there is no .{name} here{hint}; known: {', '.join(f'.{each}' for each in known)}")


@declared()
class SecretName:
    """A variable's value that is one of the server's secrets."""

    secret: str = field(Text(), "The name of one of the top-level `secrets`.", missing="say which secret")


class EnvValue(TemplateText):
    """A template, or the name of a secret; the value is a Template or a SecretName."""

    label = "template, or `{secret: NAME}`"
    _secret = Object(SecretName, strict=True)

    def from_yaml(self, node: Node, location: Location) -> Any:
        if isinstance(node, MapNode):
            return self._secret.from_yaml(node, location)
        return super().from_yaml(node, location)

    def yaml_schema(self) -> dict[str, Any]:
        return {"anyOf": [super().yaml_schema(), self._secret.yaml_schema()]}


class Expression(FieldType):
    """A CEL expression, compiled by ``compiler``; None for an empty text."""

    label = "CEL expression"

    def __init__(self, compiler: Callable[[str], Any]) -> None:
        self._compiler = compiler

    def from_yaml(self, node: Node, location: Location) -> Any:
        text = self.scalar(node, "text").text
        if not text:
            return None
        try:
            return self._compiler(text)
        except CelError as error:
            raise ValueError(f"CEL: {error}") from None


class OutputExpression(Expression):
    """A condition that lines of output have to meet."""

    def from_yaml(self, node: Node, location: Location) -> Condition | None:
        condition: Condition | None = super().from_yaml(node, location)
        never = condition and all(condition.constant_for(each) is False for each in ("stdout", "stderr"))
        if never and self.scalar(node, "text").text.strip() != "false":
            location.warn('is never true, so every line is dropped; write "false" if that is meant')
        return condition


@declared()
class EnvFileSection:
    """An ``env_file``."""

    path: str = field(Text("path"), "A file of `NAME=value` lines.", missing="say which file")
    required: bool = field(BOOLEAN, "Whether a start fails when it does not exist.", default=True)


_ENV_FILE = Object(EnvFileSection, lambda read, _: EnvFile(read.path, read.required), short="path")


class Inheritance(FieldType):
    """``all``, ``minimal``, ``none``, or a list of names."""

    label = "`all`, `minimal`, `none`, or a list of names"
    _words = Choice("all", "minimal", "none")
    _names = TextList("list of names", commas=False)

    def from_yaml(self, node: Node, location: Location) -> str | tuple[str, ...]:
        of_this: FieldType = self._names if isinstance(node, ListNode) else self._words
        value: str | tuple[str, ...] = of_this.from_yaml(node, location)
        return value

    def yaml_schema(self) -> dict[str, Any]:
        return {"anyOf": [self._words.yaml_schema(), {"type": "array", "items": {"type": "string"}}]}


_CONDITION = OutputExpression(compile_condition)


@declared()
class PtySection:
    """``pty``: the size of the terminal that a run begins with."""

    rows: int = field(SIDE, "Its height in characters.", default=24)
    cols: int = field(SIDE, "Its width in characters.", default=80)


@declared()
class StreamSection:
    """``output.stdout`` and ``output.stderr``."""

    condition: Condition | None = field(
        _CONDITION,
        "A condition on `output.stream`, `output.data` and `output.json`; lines that do not meet it are "
        'dropped. `"false"` switches the stream off.',
        default=None,
    )


@declared()
class OutputSection:
    """``output``: which lines are passed on."""

    stdout: StreamSection = field(Object(StreamSection), "Standard output.", default=StreamSection)
    stderr: StreamSection = field(Object(StreamSection), "Standard error.", default=StreamSection)
    merge: bool = field(
        BOOLEAN,
        "Whether standard error goes where standard output goes, so that their lines keep their order. All "
        "are then `stdout`'s, and standard error has no condition of its own.",
        default=False,
    )


@declared()
class ExecConfig:
    """An action's ``config``. ``conditions`` are those of the streams that drop lines."""

    entrypoint: Template = field(
        TemplateText("needs the program to run"),
        "The program: a path, or a name that is looked up in `PATH`.",
        missing="it names the program to run",
    )
    command: tuple[Template, ...] = field(
        ListOf(TemplateText()),
        "Its arguments. No shell is involved: each stays a single argument whatever it contains.",
        default=(),
    )
    parameters: Mapping[str, Parameter] = field(
        MapOf(Object(ParamSpec, read_parameter, short="default", hint=hints_at("parameter", ParamSpec))),
        "The parameters of a `start`, by name. Nothing or `{}`: required. A text: its default.",
        default=dict,
    )
    env: Mapping[str, Template | SecretName] = field(
        MapOf(EnvValue(), what="a mapping of variables"),
        "Variables of the process's environment; `{secret: NAME}` is one of the top-level `secrets`.",
        default=dict,
    )
    secret_files: Mapping[str, str] = field(
        MapOf(Text(), what="a mapping of variables to secrets"),
        "Variables that hold the path of a file with one of the top-level `secrets`. Only the process can "
        "read the file, and it is removed with the run.",
        default=dict,
    )
    env_file: tuple[EnvFile, ...] = field(
        ListOf(_ENV_FILE, single=True, label="path, mapping, or a list of such"),
        "Files of variables, read at each start; `env` wins over them, and a later file over an earlier one. "
        "`{path: FILE, required: false}` may be missing.",
        default=(),
    )
    inherit_env: str | tuple[str, ...] = field(
        Inheritance(),
        "What the process inherits of the server's own environment: `all` of it, a `minimal` part (`PATH`, "
        "`HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`, `TZ`, `TMPDIR`, `TERM`), `none`, or the "
        "variables named.",
        default="all",
    )
    cwd: Template | None = field(
        TemplateText(), "The directory to run in.", default=None, default_text="the server's"
    )
    umask: int | None = field(
        Mode(2, "a mask such as 022"),
        "Permissions withheld from files that it creates.",
        default=None,
        default_text="the server's",
    )
    nice: int | None = field(
        Niceness(),
        "The niceness of its processes, from -20 (most CPU; needs a privilege) to 19.",
        default=None,
        default_text="the server's",
    )
    rlimits: Mapping[str, tuple[int, int]] = field(
        Rlimits(),
        "Limits of each of its processes by resource, named as in `RLIMIT_*`: a number or size for both the "
        'soft and the hard limit, `"SOFT:HARD"`, or `unlimited`.',
        default=dict,
        default_text="the server's",
    )
    user: str = field(
        Text("name or number"),
        "The user it runs as, with that user's groups, `HOME`, `USER` and `LOGNAME`. The server needs the "
        "right to become that user.",
        default="",
        default_text="the server's",
    )
    group: str = field(Text("name or number"), "Its group.", default="", default_text="the user's")
    cgroup: Cgroup | None = field(
        Object(CgroupSection, lambda read, _: read.made()),
        "A cgroup of its own for each run, so that no process can escape a stop.",
        default=None,
    )
    stdin: str = field(
        Choice(*STDIN),
        "What it reads from: `none` (`/dev/null`), a `pipe`, or a `pty`, a terminal that it writes to as "
        "well. With the last two, clients can send it input, or attach. Everything written to a terminal is "
        "`stdout`'s; a line that redraws itself counts in its last state.",
        default="none",
    )
    pty: PtySection | None = field(
        Object(PtySection), "The size of that terminal.", default=None, default_text="`{rows: 24, cols: 80}`"
    )
    output: OutputSection = field(
        Object(OutputSection), "Which lines of output are passed on.", default=OutputSection
    )
    stdout_condition: Condition | None = field(
        _CONDITION, "Another spelling of `output.stdout.condition`.", default=None
    )
    stderr_condition: Condition | None = field(
        _CONDITION, "Another spelling of `output.stderr.condition`.", default=None
    )

    @property
    def env_templates(self) -> dict[str, Template]:
        return {name: value for name, value in self.env.items() if isinstance(value, Template)}

    @property
    def secret_env(self) -> dict[str, str]:
        """Variables that are secrets, by the secret's name."""
        return {name: value.secret for name, value in self.env.items() if isinstance(value, SecretName)}

    @property
    def conditions(self) -> dict[str, Condition]:
        """By stream, without those that let everything through."""
        given = {
            "stdout": self.output.stdout.condition or self.stdout_condition,
            "stderr": self.output.stderr.condition or self.stderr_condition,
        }
        return {name: each for name, each in given.items() if each and each.constant_for(name) is not True}


def checked_exec(read: ExecConfig, location: Location) -> ExecConfig:
    """What is read of a ``config``, with the errors in keys that do not go together."""
    for key, names in (("env", read.env), ("secret_files", read.secret_files)):
        for name in names:
            if not name or "=" in name or "\0" in name or (key == "secret_files" and "/" in name):
                location.at(key).error(f"{quoted(name)} is not a valid name for a variable")
    for name in read.env.keys() & read.secret_files.keys():
        location.at("secret_files", name).error(f"{name} is in env as well: a variable has one value")
    if read.output.merge and "stderr" in read.conditions:
        location.at("output", "merge").error("has no effect with merge: stderr's lines are stdout's")
    if read.stdin == "pty" and "stderr" in read.conditions:
        location.at("stdin").error("has no effect on a terminal: stderr's lines are stdout's")
    if read.pty is not None and read.stdin != "pty":
        location.at("pty").error("only stdin: pty has a terminal")
    private = {name for name, (spec, _) in read.parameters.items() if is_private(spec)}
    words: list[tuple[Path, Template]] = [(("entrypoint",), read.entrypoint)] if read.entrypoint else []
    words += [(("command", number), argument) for number, argument in enumerate(read.command)]
    words += [(("cwd",), read.cwd)] if read.cwd is not None else []
    for path, template in words:
        for name in sorted(template.names & private):
            location.at(*path).error(
                f"{name} is a secret, and everybody on the machine can read "
                f"{'where a process runs' if path == ('cwd',) else 'a command line'}; to allow that, say "
                f"allow_in_argv: true in parameters.{name}"
            )
    return read


EXEC = Object(ExecConfig, checked_exec, hint=hints_at("config", ExecConfig))
