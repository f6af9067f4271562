"""``import overseer`` is light, and yet everything is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import overseer


def test_every_public_name_is_found():
    assert sorted(overseer._HOME_OF) == sorted(set(overseer.__all__) - {"__version__"})
    for name in overseer.__all__:
        assert getattr(overseer, name) is not None
    assert set(overseer.__all__) <= set(dir(overseer))


def test_a_name_that_is_not_there_says_so():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        overseer.nothing_like_it  # noqa: B018


@pytest.mark.parametrize("module", ["overseer.client", "overseer.ctl"])
def test_a_client_loads_nothing_of_the_server(module):
    heavy = [
        "overseer.supervisor.hub",
        "overseer.cel",
        "overseer.config",
        "yaml",
        "jinja2",
        "wsproto",
        "logging",
        "ssl",
    ]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n"
