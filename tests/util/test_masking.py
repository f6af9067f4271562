"""A text without secrets has none of them left, however they were written into it."""

from __future__ import annotations

import base64
import json
import logging
import random
import re
from urllib.parse import quote, quote_plus

import pytest

from overseer.util.masking import Masker, Secrets, log_failure, masked

KEY = "-----BEGIN PRIVATE KEY-----\n" + "\n".join("MIIEvQ/" + chr(65 + n) * 57 for n in range(9)) + "\n{"


@pytest.mark.parametrize(
    "written", [str, repr, ascii, json.dumps, lambda text: json.dumps(text, ensure_ascii=False)]
)
@pytest.mark.parametrize("secret", ["hunter2", "a'b\"c\\d", "zwei\nzeilen-mit-é", "\x00\x1b[2J", "***"])
def test_it_is_replaced_in_every_form(written, secret: str) -> None:
    assert secret.strip("*") == "" or secret not in masked(f"no such thing: {written(secret)}!", [secret])
    assert "***" in masked(f"no such thing: {written(secret)}!", [secret])


def test_lines_of_one_with_several_are_replaced_unless_they_are_short() -> None:
    assert masked("at BEGIN-KEY-1234 {", ["{\nBEGIN-KEY-1234\n}"]) == "at *** {"


def test_a_short_one_is_replaced_where_it_stands_alone() -> None:
    assert masked("parameter 'a' is a or 'a', not abc", ["a"]) == "parameter '***' is *** or '***', not abc"


def test_longer_ones_come_first_and_empty_ones_not_at_all() -> None:
    assert masked("hunter22", ["hunter2", "hunter22", ""]) == "***"


def test_a_traceback_is_logged_without_them(caplog: pytest.LogCaptureFixture) -> None:
    for secrets in ([], ["hunter2"]):
        try:
            raise KeyError("hunter2")
        except KeyError:
            log_failure(logging.getLogger("x"), secrets, "action %s failed", "a")
    plain, without = caplog.records
    assert plain.exc_info
    assert without.getMessage().startswith("action a failed\nTraceback")
    assert without.getMessage().endswith("KeyError: '***'")


def output(secrets: list[str], data: bytes, *cuts: int) -> bytes:
    """What is shown of ``data``, which comes in pieces."""
    mask = Secrets(secrets).mask
    assert mask is not None
    masker = Masker(mask)
    pieces = [data[start:end] for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True)]
    return b"".join((*map(masker.feed, pieces), masker.flush()))


@pytest.mark.parametrize("secret", ["hunter2", "s3cr/t+<&>'\"pass\\word é", KEY, '{"user": "me", "pw": 1}'])
def test_output_has_none_of_the_forms_in_which_it_is_commonly_written(secret: str) -> None:
    as_json = json.dumps(secret)[1:-1]
    encoded = {
        "json": as_json,
        "json, as it is": json.dumps(secret, ensure_ascii=False)[1:-1],
        "json of Go": as_json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        "json of PHP": as_json.replace("/", "\\/"),
        "python": repr(secret)[1:-1],
        "percent": quote(secret, safe=""),
        "path": quote(secret),
        "form": quote_plus(secret),
        "small percent": re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        "base64": base64.b64encode(secret.encode()).decode(),
        "base64 for addresses": base64.urlsafe_b64encode(secret.encode()).decode(),
    }
    for how, form in encoded.items():
        shown = output([secret], f'see "{form}" there\n'.encode())
        assert shown == b'see "***" there\n', how


@pytest.mark.parametrize("secret", ["hunter2", "a longer one, of two lines in base64: " + "äöü" * 20])
def test_base64_is_found_wherever_in_it_the_secret_stands(secret: str) -> None:
    for before in ("", "u", "me", "me:"):
        for behind in ("", "\n", ":b", "beh"):
            text = base64.b64encode(f"{before}{secret}{behind}".encode())
            shown = output([secret], b"see " + text + b" there")
            around = len(base64.b64encode(f"{before}{behind}".encode()))
            assert b"***" in shown
            assert len(shown) <= len("see *** there") + around + 4, "but for what others have a share in"


def test_base64_that_is_cut_into_lines_is_found_from_its_beginning() -> None:
    secret = "a longer one, of two lines in base64: " + "äöü" * 20
    text = base64.encodebytes(secret.encode() + b"\n")
    assert text.count(b"\n") == 3
    shown = output([secret], text)
    assert len(shown.replace(b"***", b"")) <= 3 + 4, shown


def test_it_is_found_wherever_what_comes_is_cut() -> None:
    data = b"one hunter2 two\nhunter2hunter2, hunter\n hunt3r2 aHVudGVyMg==\nhunter2"
    whole = output(["hunter2"], data)
    assert whole == b"one *** two\n***, hunter\n hunt3r2 ***\n***"
    for first in range(len(data)):
        for second in range(first, len(data)):
            assert output(["hunter2"], data, first, second).replace(b"******", b"***") == whole


def test_those_that_overlap_leave_nothing_between_them() -> None:
    data = b"xpassword1234x abababababab hunter22 y"
    for cuts in ([], range(1, len(data))):
        shown = output(["password", "word1234", "ababab", "hunter2", "hunter22"], data, *cuts)
        assert shown == b"x***x *** *** y"


def test_pieces_and_whole_say_the_same_by_chance_too() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        secrets = ["".join(chance.choices("ab", k=chance.randint(6, 9))) for _ in range(2)]
        data = bytes(chance.choices(b"ab\n", (10, 10, 1), k=60))
        shown = output(secrets, data)
        cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randint(0, 20)))
        pieced = output(secrets, data, *cuts)
        while b"******" in pieced:
            pieced = pieced.replace(b"******", b"***")
        while b"******" in shown:
            shown = shown.replace(b"******", b"***")
        assert pieced == shown, (secrets, data, cuts)
        assert not any(secret.encode() in shown for secret in secrets)


def test_nothing_is_said_that_may_begin_one_and_everything_else_at_once() -> None:
    mask = Secrets(["hunter2"]).mask
    assert mask is not None
    masker = Masker(mask)
    assert masker.feed(b"pass: h") == b"pass: "
    assert masker.feed(b"unter") == b""
    assert masker.feed(b"s\nhun") == b"hunters\n"
    assert masker.feed(b"ter2") == b"***"
    assert masker.feed(b"hunter") == b""
    assert masker.flush() == b"***", "most of one at the end is as good as one"
    assert masker.feed(b"hunt") + masker.flush() == b"hunt"


def test_an_endless_row_of_one_is_not_kept() -> None:
    mask = Secrets(["a" * 10]).mask
    assert mask is not None
    masker = Masker(mask)
    shown = b"".join(masker.feed(b"a" * 1000) for _ in range(100))
    assert shown + masker.flush() == b"***"


def test_short_ones_and_blank_ones_are_not_looked_for_in_output() -> None:
    assert Secrets(["12345", "", " " * 8, "a\nb\nc"]).mask is None
    assert Secrets([]).mask is None


def test_of_one_with_several_lines_its_armour_and_short_lines_stay() -> None:
    shown = output([KEY], KEY.encode() + b"\n}")
    assert shown.split(b"\n") == [b"-----BEGIN PRIVATE KEY-----", *[b"***"] * 9, b"{", b"}"]


def test_one_that_is_no_text() -> None:
    value = b"\xff\xfe-binary-\x80".decode("utf-8", "surrogateescape")
    assert output([value], b"see \xff\xfe-binary-\x80!") == b"see ***!"


def test_more_can_be_added_and_none_is_shown() -> None:
    secrets = Secrets(["hunter2"])
    first = secrets.mask
    secrets.add("hunter2")
    assert secrets.mask is first
    secrets.add("another")
    assert output(list(secrets), b"another hunter2") == b"*** ***"
    assert "hunter" not in repr(secrets)
