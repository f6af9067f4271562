"""``[[ ]]`` in a text, over one set of string params: Go's text/template, or Jinja's syntax."""

from __future__ import annotations

from overseer.templates.template import Dialect, Template, compile_template

__all__ = ["Dialect", "Template", "compile_template"]
