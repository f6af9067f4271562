"""``retry``, of the server, of an action or of a standing task."""

from __future__ import annotations

from overseer.config.key_hints import hints_at
from overseer.protocol import RetryPolicy
from overseer.schema.objects import Object

RETRY = Object(RetryPolicy, hint=hints_at("retry", RetryPolicy))
