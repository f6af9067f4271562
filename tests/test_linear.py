"""Whatever a client's or a child's text goes through takes time in proportion to its length, at the most.

Each function is given texts that would be the worst for one way to do it wrong, of a length and of four times
that. Only the thread's own CPU time counts, and the least of several runs, so that a busy machine makes no
difference.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import pytest

from overseer.auth.networks import is_trusted, plain_address
from overseer.auth.origins import BrowserRules, check_host_name, check_origin
from overseer.auth.peer import Peer
from overseer.cel import compile_condition
from overseer.cel.program import build_program
from overseer.cel.statictypes import STRING
from overseer.client.decoding import decode as decode_messages
from overseer.client.frames import FrameReader
from overseer.ctl.terminal import plain
from overseer.daemon.gate import _cookies, _presented
from overseer.net.bytestream import ByteStream
from overseer.net.frame_limit import FrameScanner
from overseer.net.frames import Encoded
from overseer.net.http import check_upgrade, read_request
from overseer.net.limits import ConnectionLimits
from overseer.net.readable_outbox import ReadableOutbox
from overseer.net.stdio import _LineBuffer
from overseer.process.lines import LineSplitter, decode
from overseer.process.terminal_lines import drawn
from overseer.protocol import parse_request
from overseer.supervisor.output.encode import EncodedOutput
from overseer.supervisor.output.ring import StoredOutput
from overseer.templates import compile_template
from overseer.templates.sandbox import ENVIRONMENT, GO
from overseer.util import durations, timestamps
from overseer.util.timers import Timers

_LENGTH = 4096
_TS = timestamps.now()
_TIMES = 4
_NOTHING = 0.004  # seconds; quadratic work on four times the length takes longer

_BOUND = 0.5  # seconds for what loops

Function = Callable[[str], object]

# A text of about so many characters.
TEXTS: dict[str, Callable[[int], str]] = {
    "letters": lambda n: "a" * n,
    "upper": lambda n: "A" * n + "!",
    "spaces": lambda n: " " * n + "x",
    "lines": lambda n: "\n" * n,
    "words": lambda n: "a " * (n // 2),
    "tabs": lambda n: "\t" * n,
    "CRs": lambda n: "\r" * n + "x",
    "digits": lambda n: "1" * n,
    "digits and x": lambda n: "1" * n + "x",
    "zeros": lambda n: "0" * n,
    "minus": lambda n: "-" * n,
    "underscored": lambda n: "1_" * (n // 2) + "x",
    "fraction": lambda n: "1." + "1" * n + "x",
    "dotted": lambda n: "." + "1" * n + "x",
    "dots": lambda n: "." * n,
    "1.1.1": lambda n: "1." * (n // 2),
    "exponent": lambda n: "1e" + "9" * n,
    "exponents": lambda n: "1e1" * (n // 3),
    "hexadecimal": lambda n: "0x" + "f" * n,
    "hexadecimal fraction": lambda n: "0x" + "f" * (n // 2) + "." + "f" * (n // 2) + "g",
    "hexadecimal double": lambda n: "0x" + "f" * n + "p0",
    "infinities": lambda n: "inf" * (n // 3),
    "terms": lambda n: "1h" * (n // 2),
    "terms and x": lambda n: "1.5ns" * (n // 5) + "x",
    "units": lambda n: "1" + "h" * n,
    "timestamp": lambda n: "2020-01-01T00:00:00." + "1" * n + "x",
    "zone": lambda n: "Europe/" * (n // 7),
    "quotes": lambda n: '"' * n,
    "apostrophes": lambda n: "'" * n,
    "backslashes": lambda n: "\\" * n + '"',
    "escaped": lambda n: '"' + '\\"' * (n // 2),
    "brackets": lambda n: "[" * n,
    "pairs of brackets": lambda n: "[]" * (n // 2),
    "braces": lambda n: "{" * n,
    "parentheses": lambda n: "(" * n,
    "less": lambda n: "<" * n,
    "tags": lambda n: "<a>" * (n // 3),
    "comments": lambda n: "<!--" * (n // 4),
    "entities": lambda n: "&#1" * (n // 3),
    "per cents": lambda n: "%" * n,
    "directives": lambda n: "%s" * (n // 2),
    "indexed": lambda n: "%[1]" * (n // 4),
    "wide": lambda n: "%99999d" * (n // 7),
    "unclosed names": lambda n: "%(a" * (n // 3),
    "commas": lambda n: "," * n,
    "semicolons": lambda n: "a=b;" * (n // 4),
    "colons": lambda n: ":" * n,
    "slashes": lambda n: "/" * n,
    "URLs": lambda n: "http://a" * (n // 8),
    "mail": lambda n: "a@" * (n // 2),
    "host": lambda n: "https://" + "a." * (n // 2) + "/",
    "umlauts": lambda n: "ä" * (n // 2),
    "surrogates": lambda n: "\ud800" * (n // 3),
    "bad bytes": lambda n: "\udcff" * n,
    "bidirectional": lambda n: "\u202e" * (n // 3),
    "escapes": lambda n: "\x1b[" * (n // 2),
    "array": lambda n: json.dumps({"a": [1] * (n // 3)}),
    "many keys": lambda n: json.dumps({f"k{number}": 1 for number in range(n // 10)}),
    "one key": lambda n: '{"a": 1' + ', "a": 1' * (n // 8) + "}",
    "digits in JSON": lambda n: '{"a": ' + "1" * n + "}",
    "fraction in JSON": lambda n: '{"a": 0.' + "1" * n + "}",
    "exponent in JSON": lambda n: '{"a": 1e' + "1" * n + "}",
    "nested JSON": lambda n: '{"a": ' + "[" * n,
    "text in JSON": lambda n: json.dumps({"type": "start", "id": "1", "params": {"p": n * "x"}}),
    "id": lambda n: json.dumps({"type": "list", "id": "x" * n}),
    "type": lambda n: json.dumps({"type": "x" * n, "id": "1"}),
    "since": lambda n: json.dumps({"type": "list", "id": "1", "since": "1" * n}),
    "halves": lambda n: '{"a": "' + "\\ud800" * (n // 6) + '"}',
    "spaces in JSON": lambda n: "{" + " " * n + "}",
}  # fmt: skip


def _cel(expression: str) -> Function:
    program = build_program(expression, {"value": STRING}, result=None)
    return lambda text: program.evaluate({"value": text})


def _filter(expression: str) -> Function:
    condition = compile_condition(expression)
    return lambda text: condition.filter("stdout", [text])


def _template(text: str, dialect: str = "go") -> Function:
    template = compile_template(text, dialect)  # type: ignore[arg-type]
    return lambda value: template.render({"x": value})


class _Stream(ByteStream):
    """A connection over which a text comes in pieces."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._pieces = [data[at : at + piece] for at in range(0, len(data), piece)][::-1]

    def receive(self, size: int, deadline: float | None = None) -> bytes:
        return self._pieces.pop() if self._pieces else b""


def _request(head: str, piece: int) -> Function:
    """What is asked of a request with a text in its head."""

    def ask(text: str) -> None:
        data = head.replace("TEXT", text.replace("\n", " ").replace("\r", " ")).encode("utf-8", "replace")
        request = read_request(_Stream(data, piece), Peer("tcp", "127.0.0.1"), float("inf"))  # type: ignore[abstract]
        assert request is not None
        check_upgrade(request)
        _presented(request)
        _cookies(request, "a")
        ORIGINS.refusal(request.headers.get("origin"), request.headers.get("host"))

    return ask


ORIGINS = BrowserRules(origins=["https://a.example"], hosts=["a.example"])


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _split(piece: int) -> Function:
    def feed(text: str) -> None:
        data, lines = _utf8(text), LineSplitter(1 << 24)
        for at in range(0, len(data), piece):
            lines.feed(data[at : at + piece])
        lines.close()

    return feed


def _buffered(text: str) -> None:
    lines = _LineBuffer(1 << 20)
    for byte in _utf8(text):
        lines.feed(bytes((byte,)))


def _framed(size: int, piece: int) -> Function:
    """A message in frames of ``size`` bytes, read by both ends in pieces."""

    def feed(text: str) -> None:
        data = _utf8(text)
        frames = [data[at : at + size] for at in range(0, len(data), size)]
        server, client = FrameScanner(1 << 24), FrameReader(1 << 24)
        plain_frames, masked = bytearray(), bytearray()
        for number, frame in enumerate(frames):
            first = (0 if number else 1) | (0x80 if number == len(frames) - 1 else 0)
            length = bytes((len(frame),)) if len(frame) < 126 else b"\x7e" + len(frame).to_bytes(2, "big")
            plain_frames += bytes((first,)) + length + frame
            masked += bytes((first, length[0] | 0x80)) + length[1:] + bytes(4) + frame
        for at in range(0, len(plain_frames), piece):
            client.feed(bytes(plain_frames[at : at + piece]))
        for at in range(0, len(masked), piece):
            server.scan(bytes(masked[at : at + piece]))

    return feed


GET = "GET / HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = f"{GET}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
BYTES = "bytes(value)"
MOMENT = "timestamp('2020-01-01T00:00:00Z')"

CONVERSIONS = ("bool", "bytes", "double", "duration", "int", "timestamp", "uint")

# Those that sort go into LOOPS: with each of the texts they would take too long.
SORTING = ("dictsort", "groupby", "sort")
FILTERS = [name for name in ENVIRONMENT.filters if not name.startswith(GO) and name not in SORTING]

FUNCTIONS: dict[str, Function] = {
    **{
        f"CEL {expression}": _cel(expression)
        for expression in (
            *(f"{name}(value)" for name in CONVERSIONS),
            *(f"value.matches('{pattern}')" for pattern in ("(a|a)*b", "^(.*)(.*)(.*)x$", "(1+)+x")),
            *("value.contains('ab')", "value.contains(value + 'x')", "value + value"),
            *("value.startsWith('a')", "value < value + 'x'", "value == value + ''", "value in ['a', value]"),
            *(f"string({BYTES})", f"{BYTES} == {BYTES}", "size(value)", "{'a': 1}[value]", "type(value)"),
            *(f"{MOMENT}.getHours(value)", "[value].map(x, x + x)"),
            "[value, value].all(x, x.matches('a*b'))",
        )
    },
    **{
        f"filter {expression}": _filter(expression)
        for expression in (
            *("double(output.data) > 1.0", "int(output.data) > 1", "output.data.matches('a+b')"),
            *("output.json.a == 1", "has(output.json.a)", "output.json.k1 == 1", "output == output"),
        )
    },
    **{
        f"Go {text}": _template(text)
        for text in (
            *("[[.x]]", "[[len .x]]", "[[slice .x 1]]", "[[index .x 1]]", "[[if eq .x `a`]][[end]]"),
            *(f"[[{name} .x]]" for name in ("html", "js", "print", "println", "shquote", "urlquery")),
            *(f"[[printf `%{verb}` .x]]" for verb in ("s", "q", "+q", "#q", "x", "# X", "99999s", "d")),
            *("[[printf .x]]", "[[printf .x .x]]", "[[printf .x 1 2]]", "[[printf `%*s` 9 .x]]", "[[.]]"),
        )
    },
    **{
        f"Jinja {text}": _template(text, "jinja")
        for text in (
            *(f"[[ x|{name} ]]" for name in FILTERS),
            *("[[ x|replace(x, x) ]]", "[[ x|replace('a', x) ]]", "[[ x|join(x) ]]"),
            *("[[ x|indent(x) ]]", "[[ x|format(x) ]]", "[[ x % x ]]", "[[ x % 1 ]]", "[[ x.format(x, 1) ]]"),
            *("[[ x.replace('a', x) ]]", "[[ x.join(x) ]]", "[[ x.expandtabs(1000) ]]", "[[ x.split('a') ]]"),
            *("[[ x.split() ]]", "[[ x in x ]]", "[[ x ~ x ]]", "[[ x * x|int ]]"),
            "[[ x|map('upper')|first ]]",
            *("[[ x.strip() ]]", "[[ x.partition(x) ]]", "[[ x.count('aa') ]]", "[[ x.translate({97: x}) ]]"),
            *("[[ x|truncate(9) ]]", "[[ x|batch(3)|list ]]", "[[ x|slice(3)|list ]]"),
            *( "[[ x|unique|list ]]", "[[ x|e|e|e ]]"),
        )
    },
    "duration": durations.parse_duration,
    "timestamp": timestamps.parse_timestamp,
    "request": parse_request,
    "request in bytes": lambda text: parse_request(_utf8(text)),
    "message to a client": lambda text: decode_messages([_utf8(text)], lambda said: None),
    "output": lambda text: EncodedOutput("t", StoredOutput(1, _TS, 1, "stdout", [text]), "ts").websocket,
    "terminal": plain,
    "decode": lambda text: decode(text.encode("utf-8", "surrogateescape").replace(b"a", b"\xff")),
    "lines": _split(1 << 16),
    "origin": check_origin,
    "host": check_host_name,
    "address": plain_address,
    "trust": lambda text: is_trusted(text, ()),
    "origin and host": lambda text: ORIGINS.refusal(text[:9_999], text),
    "path": _request("GET /TEXT HTTP/1.1\r\nHost: localhost\r\n\r\n", 9_999),
    "target": _request("GET TEXT HTTP/1.1\r\nHost: localhost\r\n\r\n", 9_999),
    "method": _request("TEXT / HTTP/1.1\r\nHost: localhost\r\n\r\n", 9_999),
    "header": _request(f"{GET}X: TEXT\r\n\r\n", 9_999),
    "name of a header": _request(f"{GET}TEXT: x\r\n\r\n", 9_999),
    "Host": _request("GET / HTTP/1.1\r\nHost: TEXT\r\n\r\n", 9_999),
    "Origin": _request(f"{GET}Origin: TEXT\r\n\r\n", 9_999),
    "Cookie": _request(f"{GET}Cookie: TEXT\r\n\r\n", 9_999),
    "Authorization": _request(f"{GET}Authorization: Bearer TEXT\r\n\r\n", 9_999),
    "subprotocols": _request(f"{UPGRADE}Sec-WebSocket-Protocol: TEXT\r\n\r\n", 9_999),
    "key": _request(f"{UPGRADE}Sec-WebSocket-Key: TEXT\r\n\r\n", 9_999),
    "connection": _request(f"{UPGRADE}Connection: TEXT\r\n\r\n", 9_999),
}  # fmt: skip

# What goes through every byte, or loops as long as it may, with few texts: their time grows or has a bound.
_FEW = ("letters", "digits", "umlauts", "array", "one key", "wide")
LOOPS: dict[str, Function] = {
    "lines byte by byte": _split(1),
    "requests byte by byte": _buffered,
    "frames of a byte": _framed(1, 1 << 14),
    "frames byte by byte": _framed(9_999, 1),
    "header byte by byte": _request(f"{GET}X: TEXT\r\n\r\n", 1),
    "value.matches(value)": _cel("value.matches(value)"),
    **{
        expression: _filter(expression)
        for expression in (
            "output.json.a.all(x, output.json.a.exists(y, y == x + 1.0))",
            "output.json.a.all(x, x in output.json.a)",
            "output.json.a.all(x, output.json.a == output.json.a)",
            "output.json.a.all(x, !output.data.contains('?'))",
            "output.json.a.all(x, !output.data.matches('[?]'))",
            "output.json.a.map(x, output.data + 'x').size() > 0",
            "output.json.a.map(x, output.json.a.map(y, y)).size() > 0",
            "output.json.a.filter(x, output.json.a.exists_one(y, y == x)).size() > 0",
        )
    },
    **{
        text: _template(text)
        for text in (
            "[[range 100000]][[$v := html $.x]][[end]]",
            "[[range 100000]][[if eq $.x `a`]][[end]][[end]]",
            "[[$v := .x]][[range 100000]][[$v = print $v $v]][[end]]",
        )
    },
    **{
        text: _template(text, "jinja")
        for text in (
            "[[ x|map('center', 99999)|list ]]",
            "[[ x|sort|join ]]",
            "[[ x|groupby(0)|list ]]",
            "[[ x|map('upper')|list ]]",
            "[% for i in x %][% for j in x %][[ i ]][% endfor %][% endfor %]",
            "[% set y %][% for i in x %][[ x ]][% endfor %][% endset %]",
        )
    },
}


@cache
def _text(name: str, length: int) -> str:
    return TEXTS[name](length)


def _seconds(function: Function, text: str) -> float:
    """The thread's CPU time; what is said of the text does not matter."""
    started = time.thread_time()
    try:
        function(text)
    except (AttributeError, NameError, TypeError):  # it was called wrongly
        raise
    except Exception:
        pass
    return time.thread_time() - started


def _slow(function: Function, names: Iterable[str] = TEXTS, bound: float = 0) -> Iterator[str]:
    """The texts on which it takes more time than in proportion to their length, and than ``bound``."""
    for name in names:
        short, long = _text(name, _LENGTH), _text(name, _LENGTH * _TIMES)
        most = _seconds(function, long)
        for runs in (1, 3, 10):
            if most < max(_NOTHING, bound):
                break
            least = min(_seconds(function, short) for _ in range(runs))
            if most < 2 * _TIMES * least:
                break
            most = min(most, *(_seconds(function, long) for _ in range(runs)))
        else:
            yield f"{name}: {least:.4f} s, and {most:.4f} s for {_TIMES} times as much"


@pytest.fixture(autouse=True, scope="module")
def _no_collector() -> Iterator[None]:
    """Garbage collection takes time that depends on everything else in the process. Collecting before each
    test would take longer than the tests."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_no_faster_than_the_text(name: str) -> None:
    # Jinja's filters, which are many, share the texts among them.
    texts = list(TEXTS)[len(name) % 3 :: 3] if name.startswith("Jinja") else TEXTS
    assert list(_slow(FUNCTIONS[name], texts)) == []


@pytest.mark.parametrize("name", LOOPS)
def test_loops_have_a_bound(name: str) -> None:
    assert list(_slow(LOOPS[name], _FEW, _BOUND)) == []


@pytest.mark.parametrize(
    "piece", ["\x1b[1K", "\x1b[9999G\x1b[1K", "\x1b[9999C \x1b[2K", "\x1b[9999Gx\r\x1b[K"]
)
def test_drawing_a_line_has_a_bound(piece: str) -> None:
    line = ("x" * 30_000 + piece * 30_000)[:65_536]
    assert min(_seconds(lambda text: drawn([text]), line) for _ in range(3)) < _BOUND
    assert "\x1b" not in drawn([line])[0]


def test_a_reply_of_one_long_line_is_gathered_in_proportion_to_its_length() -> None:
    def gathered(mebibytes: int) -> float:
        outbox = ReadableOutbox(ConnectionLimits(), Timers(), lambda: None)
        outbox.append(Encoded([bytes(mebibytes << 20)]))
        started = time.thread_time()
        while not outbox.take():
            pass
        return time.thread_time() - started

    short = min(gathered(2) for _ in range(3))
    assert min(gathered(32) for _ in range(3)) < 4 * 16 * short


def test_the_test_finds_what_is_quadratic() -> None:
    def quadratic(text: str) -> None:
        for at in range(len(text)):
            text[at:].count("~")

    assert list(_slow(quadratic, ["letters"]))
