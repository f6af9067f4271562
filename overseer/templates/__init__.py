"""``[[ ]]`` templates: Go's text/template and Jinja's expressions, over one set of string params."""

from __future__ import annotations

from overseer.templates.template import Template, compile_template

__all__ = ["Template", "compile_template"]
