"""What the server of these tests can run."""

from __future__ import annotations

from tests.harness import shell

__all__ = ["ACTIONS"]

_HOSTILE = r"""printf '%s\n' '<img src=x onerror="document.title=1">' '<script>document.title=2</script>'
printf '\033[31mred\033[0m \033[1;38;2;1;2;3mdeep\033[0m plain\n'
printf '\033]0;title\007\033[2J\033[Hcleared \033[?25lnothing\n'
printf 'bell \007 and \342\200\256backwards\n'
printf '10%%\r55%%\r99%%\n'
printf '\033[31mred without an end\nstill red\n'
"""

ACTIONS = {
    "asks": shell(
        "printf 'Name? '; read -r name; printf '\\033[32mhello %s\\033[0m\\n' \"$name\"; "
        "printf '10%%'; read -r x; printf '\\r100%%\\n'; cat; echo end",
        config={"stdin": "pty"},
    ),
    "probed": shell(
        "printf 'serving\n'; exec sleep 60",
        ready={"log": "^serving$"},
        health={"exec": ["test", "-e", "[[.file]]"], "interval": "50ms", "failures": 1, "on_failure": "none"},
        config={"parameters": {"file": {}}},
    ),
    "cat": {"type": "exec", "config": {"entrypoint": "cat", "stdin": "pipe"}},
    "greet": shell(
        'echo "hello $1"; echo "careful $2" >&2',
        description="Greets somebody, twice",
        config={
            "command": ["-c", 'echo "hello $1"; echo "careful $2" >&2', "sh", "[[.name]]", "[[.size]]"],
            "parameters": {
                "size": {"default": "small", "validate": 'value in ["small", "large"]'},
                "name": {"validate": 'value != "nobody"'},
                "note": {"default": ""},
            },
        },
    ),
    "resize": shell(
        "",
        description="Makes a smaller picture",
        config={
            "entrypoint": "printf",
            "command": [
                "%s\\n",
                *(f"{name}=[[.{name}]]" for name in ("source", "size", "ratio", "format", "keep")),
            ],
            "parameters": {
                "source": {"type": "path", "description": "The picture,\nor a folder of them"},
                "size": {
                    "type": "integer",
                    "min": 1,
                    "max": 100,
                    "default": "50",
                    "description": "In percent",
                },
                "ratio": {"type": "number", "min": -1.5, "default": "1"},
                "format": {"choices": ["png", {"value": "jpg", "title": "JPEG, for photographs"}]},
                "quality": {"choices": ["low", "high"], "default": "high"},
                "keep": {"type": "boolean", "default": "true", "description": "Whether the source stays"},
                "album": {"pattern": "[a-z]+", "message": "Small letters only.", "default": "new"},
                "even": {
                    "validate": "int(value) % 2 == 0",
                    "message": "An even number, please.",
                    "default": "2",
                },
                "notes": {"multiline": True, "default": "", "description": "A few words about it"},
            },
        },
    ),
    "login": shell(
        'echo "${#1} for $2"',
        config={
            "command": ["-c", 'echo "${#1} for $2"', "sh", "[[.password]]", "[[.user]]"],
            "parameters": {
                "user": {},
                "password": {"type": "secret", "allow_in_argv": True, "description": "The account's"},
                "key": {"type": "secret", "multiline": True, "default": ""},
            },
        },
    ),
    "sleep": shell("echo ready; exec sleep 600", description="Does nothing, for long"),
    "fail": shell(
        "echo working; echo 'no such disk' >&2; exit 9", retry={"restart_delay": "10ms", "error_threshold": 2}
    ),
    "script": {
        "type": "exec",
        "config": {"entrypoint": "sh", "command": ["-c", "[[.script]]"], "parameters": {"script": {}}},
    },
    "hostile": shell(_HOSTILE, description="Prints what no page should obey"),
    "json": shell(
        """echo '{"a": 1, "deep": {"list": [true, null, "<b>x</b>"], "n": 2.5}}'; echo '{broken'; seq 3"""
    ),
    "count": shell("", config={"entrypoint": "seq", "command": ["[[.lines]]"], "parameters": {"lines": {}}}),
    "silent": shell("exec sleep 600"),
    "prompt": shell("printf 'Continue? '; exec sleep 600"),
    "tick": shell("n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.02; done"),
    "fed": shell("while read -r many; do seq $many; done <[[.fifo]]", config={"parameters": {"fifo": None}}),
    "one": shell(
        "echo ready; exec sleep 600",
        description="One at a time",
        task_pool={"limit": 1, "queue": {"enabled": True, "size": 0}},
    ),
}
