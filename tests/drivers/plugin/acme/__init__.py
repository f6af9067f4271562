"""Drivers from outside the package, made with nothing but the public names of ``overseer``."""

import acme.broken
import acme.function
import acme.process
import acme.service
import acme.wrapped  # noqa: F401

VERSION = "7.1"
