"""The JSON Schema of the configuration file, from the declarations that it is loaded by: for editors.

``sticky-overseer --schema`` prints it; ``python -m overseer.config.jsonschema docs/config.schema.json``
writes it. It covers what JSON Schema can express: which keys there are, what each may hold, what is missing.
The loader checks more (addresses, which keys go together, wrong quotes) and has the last word.

Every key may hold null, which counts as its absence. A string may be written as a number or boolean, since
the loader takes scalars as they are written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from overseer.config.model import ROOT


def config_schema() -> dict[str, Any]:
    """The schema (draft 7, which editors know) as plain JSON values."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "sticky-overseer's configuration",
        **ROOT.yaml_schema(),
        "type": ["object", "null"],  # an empty file is one of defaults
    }


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(schema_text(), "utf-8")
