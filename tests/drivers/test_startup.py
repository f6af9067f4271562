"""From drivers and a config file to handlers, or to plain lines that say what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.drivers.conftest import PROGRAM, run_python
from tests.harness import ROOT, Daemon

BROKEN = """\
actions:
  one:
    type: acme-picky
    config:
      dislikes: one
      volume:
        - 3
        - 11
  several:
    type: acme-picky
    config: {dislikes: several,
      colour: red,
      volume: [3, 11]}
  expression:
    type: acme-picky
    config: {dislikes: expression}
  nothing:
    type: acme-picky
    config: {dislikes: nothing}
  bug:
    type: acme-picky
    config: {}
  unknown:
    type: acme-pciky
  fine:
    type: acme-function
    config: {function: count}
  exec:
    type: exec
    config:
      entrypoint: "[[ if ]]"
      command: ["[[ .a ", [b]]
      parameters:
        p: {validate: "value +"}
      output:
        stdout: {condition: "no +"}
      stderr_condition: "1"
"""


def acme(directory: Path, config: str, *arguments: str) -> tuple[int, str, str]:
    (directory / "config.yaml").write_text(config)
    return run_python(str(PROGRAM), *arguments, cwd=directory)


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_every_drivers_problem_is_a_line_with_file_line_and_key(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    status, out, err = acme(tmp_path, BROKEN, "--config", "config.yaml", *arguments)
    assert (status, out) == (1, "")
    assert "Traceback" not in err
    banner, *lines = err.splitlines()
    assert banner == "drivers of acme 7.1"
    lines[0] = lines[0].removeprefix("sticky-overseer: ")
    expected = [
        "config.yaml:8: actions.one.config.volume.1: is too loud",
        "config.yaml:13: actions.several.config.volume.1: is too loud",
        "config.yaml:12: actions.several.config.colour: is the wrong shade",
        "config.yaml:16: actions.expression.config: 1:8: ",
        "config.yaml:19: actions.nothing.config: the driver 'acme-picky' made None, which is not an Action",
        "config.yaml:22: actions.bug.config: the driver 'acme-picky' failed: KeyError: 'where' (broken.py",
        "config.yaml:24: actions.unknown.type: unknown type 'acme-pciky'; known types: acme-broken",
        "config.yaml:31: actions.exec.config.entrypoint: template: ",
        "config.yaml:32: actions.exec.config.command.0: template: ",
        "config.yaml:32: actions.exec.config.command.1: expected text, found a",
        "config.yaml:34: actions.exec.config.parameters.p.validate: CEL: ",
        "config.yaml:36: actions.exec.config.output.stdout.condition: CEL: ",
        "config.yaml:37: actions.exec.config.stderr_condition: CEL: ",
    ]
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)


def test_a_drivers_warning_is_a_line_and_the_server_starts(tmp_path: Path) -> None:
    config = "actions:\n  a:\n    type: acme-picky\n    config:\n      dislikes: warn\n      where: x\n"
    status, out, err = acme(tmp_path, config, "--check")
    assert (status, "config.yaml: OK, 1 action" in out) == (0, True)
    assert "warning: ./config.yaml:4: actions.a.config.colour: is out of fashion" in err.splitlines()


def test_a_drivers_other_warnings_are_shown_as_ever(tmp_path: Path) -> None:
    driver = (
        "import overseer, warnings\nclass F:\n    type = 'old'\n    def create(self, *args):\n"
        "        warnings.warn('old fashioned', FutureWarning)\n        raise overseer.ConfigError('no')\n"
        "overseer.register_factory(F())\nraise SystemExit(overseer.run_cli('1', '', ['--check']))\n"
    )
    (tmp_path / "program.py").write_text(driver)
    (tmp_path / "config.yaml").write_text("actions: {a: {type: old}}")
    status, _, err = run_python("program.py", cwd=tmp_path)
    assert (status, "FutureWarning: old fashioned" in err) == (1, True)


def test_the_command_line_of_a_downstream_program_is_its_own(tmp_path: Path) -> None:
    assert acme(tmp_path, "", "-version")[:2] == (0, "sticky-overseer 7.1 (c0ffee)\n")
    status, out, _ = acme(tmp_path, "", "--list-handlers")
    assert status == 0
    assert out.split() == [
        "acme-broken",
        "acme-function",
        "acme-picky",
        "acme-process",
        "acme-service",
        "acme-wrapped",
        "dask",
        "exec",
    ]
    assert acme(tmp_path, "", "--no-such-flag")[0] == 2


def test_run_cli_takes_a_list_instead_of_the_processs_arguments(tmp_path: Path) -> None:
    program = "import overseer, sys\nprint(overseer.run_cli('1.2', '', sys.argv[1:2]))"
    assert run_python("-c", program, "--version", "--nonsense", cwd=tmp_path)[:2] == (
        0,
        "sticky-overseer 1.2\n0\n",
    )
    program = "import overseer, sys\nsys.argv = ['x', '--version']\nprint(overseer.run_cli('1.2', 'abc'))"
    assert run_python("-c", program, cwd=tmp_path)[:2] == (0, "sticky-overseer 1.2 (abc)\n0\n")


def test_what_cannot_be_registered_is_an_error_that_names_it(tmp_path: Path) -> None:
    program = """
import acme.process, overseer

class Factory:
    def __init__(self, type):
        self.type = type
    def create(self, *args): ...

class Class:
    type = "fine"
    def create(self, *args): ...

class Uncreative:
    type = "fine"

mine = Factory("mine")
for factory in (mine, mine, Factory("acme-process"), Factory(""), Factory(7), Class, Uncreative(), None):
    try:
        print(overseer.register_factory(factory))
    except ValueError as error:
        print(error)
"""
    status, out, err = run_python("-c", program, cwd=tmp_path)
    assert (status, err) == (0, "")
    first, again, second, empty, number, class_, uncreative, none = out.splitlines()
    assert (first, again) == ("None", "None")
    assert "'acme-process' is already registered" in second
    assert "acme.process.ProcessFactory object" in second
    assert "__main__.Factory object" in second
    assert all("a factory needs a type" in line for line in (empty, number, uncreative, none))
    assert class_.startswith("register an instance")


# Installed drivers


def install(directory: Path, name: str, value: str, source: str = "") -> None:
    """What pip would leave behind: a module and the metadata of a distribution with one entry point."""
    info = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[overseer.drivers]\n{name} = {value}\n")
    if source:
        (directory / f"{value.partition(':')[0]}.py").write_text(source)


SOURCE = """
import overseer

class Handler(overseer.ActionHandler):
    def describe(self):
        return overseer.ActionInfo("x", "x")
    def validate(self, params):
        pass
    def start(self, task_id, params, callbacks):
        def run(context, send):
            send("stdout", "{type}")
        return overseer.start_virtual_worker(task_id, run, callbacks)

class Factory:
    type = "{type}"
    def create(self, config, action_name, retry, pool, dedupe_key):
        return Handler()
"""
REGISTERS = "\noverseer.register_factory(Factory())\n"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    path = tmp_path / "site"
    path.mkdir()
    install(path, "plug-module", "plug_module", SOURCE.replace("{type}", "by-module") + REGISTERS)
    install(
        path,
        "plug-factory",
        "plug_factory:factory",
        SOURCE.replace("{type}", "by-factory") + "factory = Factory()",
    )
    return path


def test_installed_drivers_are_found_by_the_plain_daemon(installed: Path) -> None:
    actions = {"a": {"type": "by-module"}, "b": {"type": "by-factory"}}
    environment = {"PYTHONPATH": str(installed)}
    with Daemon(actions=actions, environment=environment) as daemon, daemon.connect() as client:
        assert client.run("a")[1][0]["data"] == "by-module"
        assert client.run("b")[1][0]["data"] == "by-factory"


def test_a_broken_installed_driver_is_warned_of_and_the_others_work(installed: Path, tmp_path: Path) -> None:
    install(installed, "plug-missing", "plug_missing")
    install(installed, "plug-broken", "plug_broken", "1 / 0")
    install(installed, "plug-leaves", "plug_leaves", "raise SystemExit(3)")
    install(installed, "plug-class", "plug_class:Factory", SOURCE.replace("{type}", "by-class"))
    install(
        installed,
        "plug-rival",
        "plug_rival",
        SOURCE.replace("{type}", "by-rival").replace("by-rival", "exec") + REGISTERS,
    )
    status, out, err = run_python(
        str(ROOT / "sticky_overseer.py"), "--list-handlers", cwd=tmp_path, path=str(installed)
    )
    assert (status, out.split()) == (0, ["by-factory", "by-module", "dask", "exec"])
    for words in (
        "driver plug-missing (plug_missing) cannot be loaded: ModuleNotFoundError",
        "driver plug-broken (plug_broken) cannot be loaded: ZeroDivisionError",
        "driver plug-leaves (plug_leaves) cannot be loaded: SystemExit: 3",
        "driver plug-class (plug_class:Factory) cannot be loaded: ValueError: register an instance",
        "driver plug-rival (plug_rival) cannot be loaded: ValueError: driver type 'exec' is already",
    ):
        assert words in err
    assert "Traceback" not in err


def test_the_module_of_the_command_line_finds_them_too(installed: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(ROOT), str(installed)])
    status, out, _ = run_python("-m", "overseer", "--list-handlers", cwd=tmp_path, PYTHONPATH=path)
    assert (status, "by-module" in out) == (0, True)
