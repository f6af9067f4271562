"""Output in the forms that clients accept: the quick way says what reading each message would."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from overseer.api.media import as_events, as_text, event, last_seq, only_output, text_line
from overseer.supervisor.output.encode import EncodedOutput
from overseer.supervisor.output.ring import StoredOutput

NASTY = ['"seq":7', '","data":"x', "\\", '\\"', "}", "data: x", "\u2028", "ä", "", "\x00", '{"type":"output"']
LINES = st.lists(
    st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_characters="\n"))), min_size=1
)


def messages(task_id: str, lines: list[str], first_seq: int = 98) -> bytes:
    output = StoredOutput(first_seq, datetime.now(UTC), 12, "stdout", lines)
    return EncodedOutput(task_id, output, "2026-01-01T00:00:00Z").lines


@given(st.sampled_from([*NASTY[:4], "a"]), LINES)
def test_blocks_of_output_are_what_their_messages_are_one_by_one(task_id: str, lines: list[str]) -> None:
    block = messages(task_id, lines)
    read: list[dict[str, Any]] = [json.loads(line) for line in block.split(b"\n")[:-1]]
    assert only_output(block)
    assert last_seq(block) == read[-1]["seq"] == 97 + len(lines)
    assert as_text(block) == b"".join(map(text_line, read))
    one_by_one = zip(block.split(b"\n"), read, strict=False)
    assert as_events(block) == b"".join(
        event(line, id=str(message["seq"]), name="output") for line, message in one_by_one
    )
