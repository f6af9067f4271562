"""Delivers one notice to a channel: a request to a webhook, or a program."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from overseer.auth.standard_webhooks import signed_headers
from overseer.config.notices import ChannelConfig, Confidential, key_of, split_url
from overseer.errors import OverseerError, SpawnError, TemplateError
from overseer.notices.http import PostError, post
from overseer.notices.notice import Notice
from overseer.notices.outbox import Answer, Attempt
from overseer.protocol import utf8
from overseer.workers.program import run_program, with_words
from overseer.workers.surroundings import Surroundings

ANSWER_S = 10.0
"""How long a receiver may take."""

RUN_S = 30.0
"""How long a program may take."""

_GONE = 410
# These are about the one notice; any other failure means that nothing can be delivered now.
_REFUSED = (400, 413, 422)
_KEPT = 300  # bytes of a program's output

ReadSecret = Callable[[str], str]


def deliver(channel: ChannelConfig, notice: Notice, secret: ReadSecret) -> Attempt:
    """Make one attempt.

    Args:
        secret: reads one of the server's secrets, by name; raises SpawnError.
    """
    try:
        if channel.exec:
            return _run(channel, notice)
        return _post(channel, notice, secret)
    except TemplateError as error:
        return Attempt(Answer.REFUSED, f"body: template: {error}")
    except (PostError, SpawnError) as error:
        return Attempt(Answer.DOWN, str(error))
    except OverseerError as error:
        return Attempt(Answer.REFUSED, str(error))


def _post(channel: ChannelConfig, notice: Notice, secret: ReadSecret) -> Attempt:
    body = notice.document if channel.body is None else utf8(channel.body.render(notice.values))
    headers = {"content-type": "application/json", "user-agent": "sticky-overseer"}
    headers |= {name.lower(): _text(value, secret) for name, value in channel.headers.items()}
    try:
        key = b"" if channel.secret is None else key_of(_text(channel.secret, secret))
    except ValueError as error:
        return Attempt(Answer.DOWN, f"its secret: {error}")
    headers |= signed_headers(key, notice.id, int(time.time()), body)
    status = post(channel.webhook, headers, body, ANSWER_S)
    if 200 <= status < 300:
        return Attempt(Answer.TAKEN)
    said = f"{split_url(channel.webhook).hostname} answers {status}"
    if status == _GONE:
        return Attempt(Answer.GONE, f"{said}, which is for good")
    return Attempt(Answer.REFUSED if status in _REFUSED else Answer.DOWN, said)


def _text(value: Confidential, secret: ReadSecret) -> str:
    if not value.secret:
        return value.text
    text = secret(value.secret)
    if any(character in text for character in "\r\n\0"):
        raise SpawnError(f"the secret {value.secret!r} has several lines, which a header cannot have")
    return text


def _run(channel: ChannelConfig, notice: Notice) -> Attempt:
    stdin = os.memfd_create("notice", os.MFD_CLOEXEC)
    try:
        os.write(stdin, notice.document + b"\n")
        os.lseek(stdin, 0, os.SEEK_SET)
        end = run_program(
            channel.exec,
            f"channel {channel.name}",
            patience=RUN_S,
            most=_KEPT,
            surroundings=Surroundings(env=notice.variables),
            stdin=stdin,
        )
    finally:
        os.close(stdin)
    if fault := end.failure(channel.exec[0]):
        return Attempt(Answer.DOWN, with_words(fault, end.written["stderr"]))
    return Attempt(Answer.TAKEN)
