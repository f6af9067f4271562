"""Loading a text as if it were a file, as the configuration's own tests do."""

from tests.config.conftest import fails, load

__all__ = ["fails", "load"]
