"""How an action is shown to people, and that this is all that these keys change."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.config.presentation import ICONS
from tests.config.conftest import Fails, Load
from tests.harness import ROOT, Daemon, shell

_KEYS = {
    "title": "Deploy the shop",
    "icon": "🚀",
    "group": "Delivery",
    "confirm": "Deploy to production?",
    "hidden": True,
}


def test_describe_says_how_an_action_is_shown_and_leaves_out_what_the_file_does() -> None:
    actions = {"deploy": shell("true", **_KEYS), "plain": shell("true")}
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        deploy, plain = client.request("describe")["actions"]
    assert {key: deploy[key] for key in _KEYS} == _KEYS
    assert not _KEYS.keys() & plain.keys()


@pytest.mark.parametrize("icon", ["🚀", "🏳️‍🌈", "👩🏽‍🚒", "🇨🇭", "♻️", "⚙", "rocket"])
def test_an_icon_is_an_emoji_or_one_of_the_set(load: Load, icon: str) -> None:
    assert load(f"actions:\n  a: {{type: exec, icon: {icon}}}\n").actions["a"].icon == icon


@pytest.mark.parametrize(
    ("icon", "says"),
    [
        ("rokcet", "found 'rokcet'; did you mean rocket?"),
        ("https://example.org/i.png", "expected an emoji or one of bell, bolt"),
        ("<img src=x>", "expected an emoji or one of bell, bolt"),
        ("'🚀 up'", "expected one emoji"),
        ("'<b>🚀'", "expected one emoji"),
        ("é", "expected one emoji"),
        ("🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀", "expected one emoji"),
    ],
)
def test_an_icon_is_neither_an_address_nor_markup(fails: Fails, icon: str, says: str) -> None:
    (error,) = fails(f"actions:\n  a: {{type: exec, icon: {icon}}}\n")
    assert error.startswith("c:2: actions.a.icon: ")
    assert says in error


def test_the_page_can_draw_each_icon_of_the_set() -> None:
    page = (ROOT / "playground" / "index.html").read_text()
    assert [name for name in ICONS if f'id="i-a-{name}"' not in page] == []


def test_how_an_action_is_shown_is_no_part_of_what_it_is(load: Load) -> None:
    bare = load("actions:\n  a: {type: exec}\n").actions["a"]
    shown = load("actions:\n  a: {type: exec, title: A, icon: box, hidden: true}\n").actions["a"]
    assert bare.digest == shown.digest


def test_a_key_for_people_under_a_task_is_sent_to_the_action(load: Load, tmp_path: Path) -> None:
    config = load("actions:\n  a: {type: exec}\ntasks:\n  t: {action: a, title: T}\n")
    (warning,) = [text for text in config.warnings if "title" in text]
    assert "to the action, under `actions`" in warning
