"""A script or a stylesheet with all that it imports, in one file: a browser asks once, not a hundred times.

The sources lie in one folder and keep to few forms, each beginning a line; any other is refused::

    import { one, another } from "./other.js";
    export const NAME   export class NAME   export [async] function[*] NAME
    @import "other.css";

Each imported module becomes a function that is called at once and returns what the module exports. They come
in the order in which a browser would evaluate them, so no module may import one that imports it. The script
itself comes last, and exports what it did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["bundle"]

_IMPORT = re.compile(
    r'^import \{(?P<names>(?:\s*[\w$]+\s*,)*\s*[\w$]*\s*)\} from "\./(?P<file>[^"/]+)";$', re.M
)
_EXPORT = re.compile(r"^export (?=(?:const|class|(?:async )?function\*?) ([\w$]+))", re.M)
_STYLE = re.compile(r'^@import "(?P<file>[^"/]+)";\n', re.M)
_OTHER = re.compile(r"^\s*(?:import(?!\.)|export|@import)\b.*|\bimport\s*\(.*", re.M)


def bundle(name: str, files: Mapping[str, bytes]) -> bytes:
    """The file of this name with all that it imports; as it is, if it is neither script nor stylesheet.

    Raises:
        ValueError: there is another form, a file that is not in ``files``, or a circle of imports.
    """
    if not name.endswith((".js", ".css")):
        return files[name]
    imports = _IMPORT if name.endswith(".js") else _STYLE
    parts: dict[str, str] = {}  # by file, each after those that it imports

    def add(file: str, importing: tuple[str, ...]) -> None:
        way = " -> ".join((*importing, file))
        if file in importing or file not in files:
            raise ValueError(f"{way}: " + ("a circle" if file in importing else "there is no such file"))
        if file in parts:
            return
        text = files[file].decode()
        for found in imports.finditer(text):
            add(found["file"], (*importing, file))
        part = _script(file, text, imported=bool(importing)) if imports is _IMPORT else _STYLE.sub("", text)
        if other := _OTHER.search(part if importing else _EXPORT.sub("", part)):
            raise ValueError(f"{way}: cannot be bundled: {other[0].strip()}")
        parts[file] = part

    add(name, ())
    return "".join(parts.values()).encode()


def _script(file: str, text: str, *, imported: bool) -> str:
    text = _IMPORT.sub(lambda found: f"const {{{found['names']}}} = {_variable(found['file'])};", text)
    if imported:
        exported = ", ".join(_EXPORT.findall(text))
        inside = _EXPORT.sub("", text)
        text = f"const {_variable(file)} = (() => {{\n{inside}\nreturn {{ {exported} }};\n}})();\n"
    return f"// {file}\n{text}"


def _variable(file: str) -> str:
    return "$" + re.sub(r"\W", "_", file)
