"""Other programs' words for values that are called something else here."""

from __future__ import annotations

from collections.abc import Collection

# A word of theirs, and ours, of which the place at which it stands takes one at most.
_OURS = {
    "always": "any true",
    "unexpected": "failure",
    "on_abnormal": "failure",
    "unless_stopped": "last",
    "resume": "last",
    "process_started": "started",
    "service_started": "started",
    "process_log_ready": "ready",
    "process_completed": "ended",
    "completed": "ended",
    "process_completed_successfully": "succeeded",
    "service_completed_successfully": "succeeded",
    "completed_successfully": "succeeded",
    "success": "succeeded",
    "control_group": "tree",
    "cgroup": "tree",
    "process": "leader",
    "mixed": "tree",
    "forbid": "skip",
    "kill": "replace restart",
    "parallel": "allow",
    "latest": "once",
    "password": "secret",
    "checkbox": "boolean",
    "enum": "choice",
    "select": "choice",
    "float": "number",
    "file": "path",
    "directory": "path",
    "multiline": "text",
    "string": "text",
    "ascii": "text",
    "ascii_identifier": "text",
    "ascii_sentence": "text",
    "unicode_identifier": "text",
    "email": "text",
    "url": "text",
    "datetime": "text",
    "raw_string_multiline": "text",
    "very_dangerous_raw_string": "text",
}


def ours(word: str, known: Collection[str]) -> str:
    """``"; here it is text"``: the one of ``known`` that another program's ``word`` means, else ``""``."""
    plain = word.lower().replace("-", "_")
    meant = next((each for each in (plain, *_OURS.get(plain, "").split()) if each in known), "")
    return f"; here it is {meant}" if meant else ""
