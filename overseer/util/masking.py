"""Texts without the secrets that may have got into them."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Collection

MASK = "***"
"""What stands for a secret."""

_SHORT = 4
_LINE = 8  # shorter lines of a secret with several are no secrets: }


def masked(text: str, secrets: Collection[str]) -> str:
    """``text`` with each of the secrets replaced, also as Python or JSON would quote it."""
    forms = {form for secret in secrets for form in _forms(secret) if form}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORT:
            text = text.replace(form, MASK)
        else:  # only where it stands alone, or little of the text would be left
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
    return text


def _forms(secret: str) -> tuple[str, ...]:
    quoted = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret), ascii(secret))
    lines = (line for line in secret.splitlines() if len(line) >= _LINE)
    return (secret, *lines, *(each[1:-1] for each in quoted))


def log_failure(log: logging.Logger, secrets: Collection[str], message: str, *args: object) -> None:
    """Log the exception that is being handled, without the secrets."""
    if not secrets:
        log.exception(message, *args)
    else:
        log.error(f"{message}\n%s", *args, masked(traceback.format_exc().rstrip(), secrets))
