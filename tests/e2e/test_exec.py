"""The exec driver with real children: what reaches the child, and what of its output reaches clients."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import end_all
from tests.harness import Daemon, WsClient
from tests.harness.recorder import RECORDER

# YAML as people write it: what PyYAML would make of these scalars must not matter.
_CONFIG = r"""
listen: 127.0.0.1:0
limits: {max_line: 1000}
actions:
  off:
    type: exec
    meta: {description: yes}
    config:
      entrypoint: printf
      command: ['<%s>\n', off, no, yes, y, on, true, 12:30, 0x10, 0o17, 010, 1_000, 1.10, .5, 1e3, -1, +1,
                2024-01-01, 2024-01-01 10:00:00, 1:20:30, =, .inf, .NaN, True, FALSE, 685_230.15, '', ~, null]
  12:30:
    type: exec
    config: {entrypoint: echo, command: [half past]}
  scalars:
    type: exec
    config:
      entrypoint: printf
      command: ['<%s>\n', '[[.rate]]', '[[.flag]]', '[[.ratio]]', '[[.hex]]', '[[.text]]', '[[.empty]]']
      parameters: {rate: 5, flag: false, ratio: 1.10, hex: 0x10, text: off, empty: "", needed: , wanted: {}}
  templates:
    type: exec
    config:
      entrypoint: '[[if .tool]][[.tool]][[else]]printf[[end]]'
      command:
        - '<%s>\n'
        - '[[.name]]'
        - '[[print .name]]'
        - 'a[[- /* none */ -]]  b'
        - '[[.missing]]|[[$.absent]]'
        - '{{.name}} ${name} ${#x} {% raw %} {# x #}'
        - "ends in a newline\n"
        - "cr\r\nlf"
        - '[[range $key, $value := .]][[if eq $key "n"]][[$value]][[break]][[end]][[end]]'
        - '[[printf "%05s|%q" .n .n]]'
        - '[[.n | shquote]]'
        - '[[with .n]][[.]][[end]]'
        - '[[$v := .n]][[$v]][[if and .n (eq .n "x y")]] is[[end]]'
        - '[[define "t"]]T([[.]])[[end]][[template "t" .n]]'
        - '[[len .n]][[index .n 0]][[slice .n 2]]'
        - '[[ "[[" ]]'
      parameters: {name: {}, n: {default: x y}, tool: {default: ""}}
  checked:
    type: exec
    config:
      entrypoint: echo
      command: ['[[.size]]']
      parameters:
        size: {default: huge, validate: 'value in ["small", "large"]'}
  lines:
    type: exec
    config:
      entrypoint: printf
      command: ['a\r\nb\n\n \t \nbad \377\303\n\303\251\n\r\rx\r\n\000\nno end']
  long:
    type: exec
    config:
      entrypoint: sh
      command: [-c, 'head -c 2500 /dev/zero | tr "\0" x; echo; echo next; head -c 1000 /dev/zero | tr "\0" y']
  filtered:
    type: exec
    config:
      entrypoint: sh
      command: [-c, 'echo one; echo 7; echo 3; echo two; echo 9; echo loud >&2; echo quiet >&2']
      output:
        stdout: {condition: 'int(output.data) > 5'}
        stderr: {condition: 'output["data"] != "quiet" && output.stream == "stderr"'}
  json:
    type: exec
    config:
      entrypoint: sh
      command: [-c, 'printf "%s\n" "$@"', sh, plain, '{"event": 1}', '{"other": 1}', '[1]', '{"event": null}',
                '{"event": ', ' {"event": {"deep": [1]}} ']
      stdout_condition: has(output.json.event)
      stderr_condition: "false"
  silent:
    type: exec
    config:
      entrypoint: sh
      command: [-c, 'seq 1 50000; seq 1 50000 >&2; exit 3']
      output: {stdout: {condition: "false"}, stderr: {condition: "1 > 2"}}
  child:
    type: exec
    config:
      entrypoint: sh
      command: [-c, 'readlink /proc/$$/fd/0; cat; echo "$FROM_SERVER"; echo "$OVERSEER_TASK_ID";
                ps -o pgid= -p $$ | tr -d " "; pwd']
  counts:
    type: exec
    config:
      entrypoint: sh
      command: [-c, 'exit [[.code]]']
      parameters: {code: {validate: "int(value) >= 0"}}
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(_CONFIG, environment={"FROM_SERVER": "hands down"}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client
        end_all(client)


def _lines(client: WsClient, action: str, **params: str) -> list[str]:
    _, outputs, exited = client.run(action, params=params)
    assert exited["exit_code"] == 0
    return [output["data"] for output in outputs]


def test_scalars_are_what_the_file_says(client: WsClient) -> None:
    texts = [
        *(
            "off",
            "no",
            "yes",
            "y",
            "on",
            "true",
            "12:30",
            "0x10",
            "0o17",
            "010",
            "1_000",
            "1.10",
            ".5",
            "1e3",
        ),
        *("-1", "+1", "2024-01-01", "2024-01-01 10:00:00", "1:20:30", "=", ".inf", ".NaN", "True", "FALSE"),
        *("685_230.15", "", "", ""),
    ]
    assert _lines(client, "off") == [f"<{text}>" for text in texts]
    assert _lines(client, "12:30") == ["half past"]
    (info,) = client.request("describe", action="off")["actions"]
    assert (info["name"], info["description"]) == ("off", "yes")


def test_a_scalar_as_a_parameter_is_its_default(client: WsClient) -> None:
    (info,) = client.request("describe", action="scalars")["actions"]
    assert info["params"] == {
        "rate": {"default": "5"},
        "flag": {"default": "false"},
        "ratio": {"default": "1.10"},
        "hex": {"default": "0x10"},
        "text": {"default": "off"},
        "empty": {"default": ""},
        "needed": None,
        "wanted": None,
    }
    given = {"needed": "", "wanted": "x"}
    assert _lines(client, "scalars", **given) == ["<5>", "<false>", "<1.10>", "<0x10>", "<off>", "<>"]
    assert _lines(client, "scalars", **given, rate="6")[0] == "<6>"
    for missing in given:
        params = {name: value for name, value in given.items() if name != missing}
        assert missing in client.request("start", action="scalars", params=params)["message"]


_NASTY = """a b; $(reboot) `id` 'single' "double" * [[.n]] {{ x }} \\ é"""


def test_templates_are_rendered_and_an_argument_stays_one_argument(client: WsClient) -> None:
    assert _lines(client, "templates", name=_NASTY, undeclared="tolerated") == [
        f"<{_NASTY}>",
        f"<{_NASTY}>",
        "<ab>",
        "<|>",
        "<{{.name}} ${name} ${#x} {% raw %} {# x #}>",
        "<ends in a newline",
        ">",
        "<cr",
        "lf>",
        "<x y>",
        '<00x y|"x y">',
        "<'x y'>",
        "<x y>",
        "<x y is>",
        "<T(x y)>",
        "<3120y>",
        "<[[>",
    ]


def test_a_file_may_say_that_its_templates_are_jinjas() -> None:
    config = {
        "listen": "127.0.0.1:0",
        "templates": "jinja",
        "actions": {
            "jinja": {
                "type": "exec",
                "config": {
                    "entrypoint": "[% if tool %][[ tool ]][% else %]printf[% endif %]",
                    "command": [
                        "<%s>\\n",
                        "[[ name ]]",
                        '[% for x in n.split(" ") %][[ x|upper ]][% endfor %]',
                        "[[ n|shquote ]]",
                        '[["[["]] -f x ]]',
                        "{{.name}} {% raw %} {# x #}\n",
                    ],
                    "parameters": {"name": {}, "n": "x y", "tool": ""},
                },
            }
        },
    }
    with Daemon(json.dumps(config)) as daemon, daemon.connect() as client:
        assert _lines(client, "jinja", name=_NASTY) == [
            f"<{_NASTY}>",
            "<XY>",
            "<'x y'>",
            "<[[ -f x ]]>",
            "<{{.name}} {% raw %} {# x #}",
            ">",
        ]


def test_the_program_itself_is_a_template_too(client: WsClient) -> None:
    assert _lines(client, "templates", name="x", tool="echo")[0].startswith("<%s>\\n x x ")


def test_a_default_is_not_checked_before_it_is_used(client: WsClient) -> None:
    error = client.request("start", action="checked")
    assert (error["type"], 'value in ["small", "large"]' in error["message"]) == ("error", True)
    assert _lines(client, "checked", size="small") == ["small"]


def test_lines_end_at_lf_and_are_otherwise_verbatim(client: WsClient) -> None:
    assert _lines(client, "lines") == [
        *("a", "b", "", " \t ", "bad \ufffd\ufffd", "é", "\r\rx", "\0", "no end"),
    ]


def test_a_line_that_is_too_long_is_cut_and_says_so(client: WsClient) -> None:
    _, (cut, following, whole), _ = client.run("long")
    assert list(cut) == ["type", "task_id", "pid", "stream", "data", "ts", "seq", "truncated"]
    assert (cut["data"], cut["truncated"], cut["seq"]) == ("x" * 1000, True, 1)
    assert (following["data"], following["seq"]) == ("next", 2)
    assert (whole["data"], "truncated" in whole) == ("y" * 1000, False)
    client.send("replay", task_id=cut["task_id"])
    assert client.settle()[:3] == [cut, following, whole]


def _by_stream(outputs: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for output in outputs:
        found[output["stream"]].append(output["data"])
    return found


def test_a_dropped_line_reaches_no_client_no_ring_and_has_no_seq(daemon: Daemon, client: WsClient) -> None:
    started, outputs, exited = client.run("filtered")
    assert _by_stream(outputs) == {"stdout": ["7", "9"], "stderr": ["loud"]}
    assert [output["seq"] for output in outputs] == [1, 2, 3]
    client.send("replay", task_id=started["task_id"])
    assert client.settle() == [*outputs, exited]
    assert client.request("metrics", task_id=started["task_id"])["task"]["output_lines"] == 3
    assert client.request("metrics", action="filtered")["action"]["total_output_lines"] == 3


def test_conditions_on_json_are_false_unless_the_line_is_an_object(client: WsClient) -> None:
    _, outputs, _ = client.run("json")
    assert [output["data"] for output in outputs] == [
        *('{"event": 1}', '{"event": null}', ' {"event": {"deep": [1]}} '),
    ]


def test_a_stream_switched_off_is_drained_and_never_blocks_the_child(client: WsClient) -> None:
    _, outputs, exited = client.run("silent")
    assert (outputs, exited["exit_code"]) == ([], 3)


def test_what_the_child_finds(daemon: Daemon, client: WsClient) -> None:
    started, outputs, _ = client.run("child", task_id="a child's")
    assert [output["data"] for output in outputs] == [
        *("/dev/null", "hands down", "a child's", str(started["pid"]), str(daemon.directory)),
    ]


@pytest.mark.parametrize("code", [0, 1, 2, 126, 255])
def test_the_exit_code_is_the_childs(client: WsClient, code: int) -> None:
    _, _, exited = client.run("counts", params={"code": str(code)})
    assert (exited["exit_code"], "signal" in exited) == (code, False)


# -- the config of WIRE's users ------------------------------------------------------------------------

_PROGRAM = f"""\
#!{sys.executable} -SE
import json, sys, time
print("starting up")
print("noise", file=sys.stderr)
print(json.dumps({{"progress": 1}}))
print(json.dumps({{"event": "recording", "argv": sys.argv[1:]}}), flush=True)
if sys.argv[2] == "live": time.sleep(60)
sys.exit(sys.argv[2] == "broken")
"""


def test_a_config_as_its_users_write_it_runs_unchanged(tmp_path: Path) -> None:
    program = tmp_path / "recorder"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    environment = {
        "OVERSEER_LISTEN": "127.0.0.1:0",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    with Daemon(RECORDER, environment=environment) as daemon, daemon.connect() as client:
        assert "warning" not in daemon.stderr
        # What a real client sends: parameters of other programs, too.
        params = {"source": "room", "resolution": "720", "driver": "x"}
        _, (output,), exited = client.run("record", params=params)
        assert output["data"] == (
            '{"event": "recording", "argv": ["-s", "room", "-r", "720", "-c", "", '
            '"-o", "/data/{{.Name}}/{{.Year}}-{{.Month}}"]}'
        )
        assert (output["seq"], exited["exit_code"], "will_restart" in exited) == (1, 0, False)
        assert client.request("start", action="record")["type"] == "error"
        bad = client.request("start", action="record", params={"source": "x", "resolution": "360"})
        assert "resolution" in bad["message"]
        client.request("start", action="record", task_id="live", params={"source": "live"})
        client.expect("output", task_id="live")
        duplicate = client.request("start", action="record", params={"source": "live", "resolution": "480"})
        assert duplicate["existing_task_id"] == "live"
        client.send("start", action="record", task_id="broken", params={"source": "broken"})
        assert client.expect("exited", task_id="broken")["will_restart"] is True
        assert client.expect("restarting", task_id="broken")["restart_delay"] == "30s"
        (action,) = client.request("describe")["actions"]
        assert (action["retry"], action["dedupe_key"]) == ({"restart_delay": "30s"}, ["source"])
        assert action["params"]["source"] is None
        pool = client.request("pool_info")["pool"]
        assert (pool["limit"], pool["running"]) == (8, 2)
        end_all(client)
