"""Scripts and stylesheets with all that they import."""

from __future__ import annotations

import pytest

from overseer.net.bundle import bundle
from tests.harness import ROOT

PAGE = {file.name: file.read_bytes() for file in (ROOT / "playground").iterdir() if file.is_file()}


def bundled(name: str, **files: str) -> str:
    given = {each.replace("_", "."): text.encode() for each, text in files.items()}
    return bundle(name, given).decode()


def test_each_module_stands_once_and_after_those_that_it_imports() -> None:
    text = bundled(
        "app.js",
        app_js='import { b } from "./b.js";\nimport {\n  a,\n  A,\n} from "./a.js";\nexport const app = a;\n',
        b_js='import { a } from "./a.js";\nexport const b = a;\n',
        a_js="export const a = 1;\nexport class A {}\nexport async function* all() {}\nconst own = 2;",
    )
    assert text == (
        "// a.js\n"
        "const $a_js = (() => {\n"
        "const a = 1;\nclass A {}\nasync function* all() {}\nconst own = 2;\n"
        "return { a, A, all };\n"
        "})();\n"
        "// b.js\n"
        "const $b_js = (() => {\n"
        "const { a } = $a_js;\nconst b = a;\n\n"
        "return { b };\n"
        "})();\n"
        "// app.js\n"
        "const { b } = $b_js;\nconst {\n  a,\n  A,\n} = $a_js;\nexport const app = a;\n"
    )


def test_a_stylesheet_stands_once_and_after_those_that_it_imports() -> None:
    text = bundled(
        "a.css",
        a_css='@import "b.css";\n@import "c.css";\na {}\n',
        b_css='@import "c.css";\nb {}\n',
        c_css="c {}\n",
    )
    assert text == "c {}\nb {}\na {}\n"


@pytest.mark.parametrize(
    "line",
    [
        'import { a as b } from "./a.js";',
        'import * as a from "./a.js";',
        'import a from "./a.js";',
        'import "./a.js";',
        'import { a } from "./folder/a.js";',
        'import { a } from "a.js";',
        "import { a } from './a.js';",
        'import { a } from "./a.js"',
        '  import { a } from "./a.js";',
        'const a = await import("./a.js");',
        "export let a = 1;",
        "export default a;",
        "export const { a } = b;",
        'export * from "./a.js";',
        "const a = 1;\nexport { a };",
    ],
)
def test_other_forms_are_refused_by_name(line: str) -> None:
    for name in ("app.js", "first.js"):
        with pytest.raises(ValueError, match=r"first\.js: cannot be bundled: .*(import|export)"):
            bundled(
                name,
                app_js='import { x } from "./first.js";',
                first_js=f"{line}\n",
                a_js="export const a = 1;",
            )
    with pytest.raises(ValueError, match=r"a\.css: cannot be bundled: @import"):
        bundled("a.css", a_css="@import url(b.css);\n")


def test_circles_and_missing_files_are_refused_with_the_way_there() -> None:
    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js: a circle"):
        bundled("a.js", a_js='import { b } from "./b.js";', b_js='import { a } from "./a.js";')
    with pytest.raises(ValueError, match=r"a\.js -> b\.js: there is no such file"):
        bundled("a.js", a_js='import { b } from "./b.js";')


def test_the_page_s_own_files_are_bundled_and_none_is_left_out() -> None:
    theme, app, socket, style = (
        bundle(name, PAGE) for name in ("theme.js", "app.js", "socket.js", "app.css")
    )
    assert b"// prefs.js\n" in theme
    for name, content in PAGE.items():
        if name.endswith(".js"):
            assert f"// {name}\n".encode() in app + socket, name
        if name.endswith(".css") and name != "app.css":
            assert content in style, name


def test_other_files_stay_as_they_are() -> None:
    assert bundle("icon.svg", PAGE) == PAGE["icon.svg"]
