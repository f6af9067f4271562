"""The types of fields are tested where they are used: in a file and in messages."""

from tests.config.conftest import fails, load

__all__ = ["fails", "load"]
