"""No template hangs, fills the memory or gets at Python's insides, whatever its params say."""

from __future__ import annotations

import re
import threading
import time

import pytest

from overseer.errors import TemplateError
from overseer.templates import Dialect, compile_template

PARAMS = {"name": "bob", "big": "x" * 1_000_000, "number": "999999999"}


def dialect_of(text: str) -> Dialect:
    """Jinja's where the text has none of Go's marks."""
    return "go" if re.search(r"\[\[(\.|\$|range |define )", text) else "jinja"


@pytest.mark.parametrize(
    "text",
    [
        "[[ (range(10**9))|list ]]",
        "[[ 'x' * 10**9 ]]",
        "[[ 10**9 * 'x' ]]",
        "[[ [1] * 10**9 ]]",
        "[[ 'x' * number|int ]]",
        "[[ 10**(10**10) ]]",
        "[[ 'x'|center(10**9) ]]",
        "[[ name|center(number|int) ]]",
        "[[ name|indent(number|int) ]]",
        "[[ 1|round(number|int, 'ceil') ]]",
        "[[ name.ljust(number|int) ]]",
        "[[ name.zfill(number|int) ]]",
        "[[ big ~ big ]]",
        "[[ big|replace('x', 'xx') ]]",
        "[[ (range(1000)|map('center', 1000000))|list ]]",
        "[[ '%d' % number|int ]][[ '%999999999d' % number|int ]]",
        "[[ '%*d' % (number|int, 1) ]]",
        "[[ '%999999999d'|format(number|int) ]]",
        "[[ '{:>999999999}'.format(name) ]]",
        "[[ '{:>{}}'.format(name, number) ]]",
        "[[ '{x:>{y}}'.format_map({'x': name, 'y': number}) ]]",
        "[[ ('<' ~ '{:>{}}')|e|string ]][[ ('{:>{}}'|e).format(name, number) ]]",
        "[[ big.replace('x', big) ]]",
        "[[ big|replace('x', big) ]]",
        "[[ big.join(big) ]]",
        "[[ big|join(big) ]]",
        "[[ big|list|join(d=big) ]]",
        "[[ big.replace('x', '\\t').expandtabs(1000) ]]",
        "[[ big.replace('x', '\\n')|indent(big) ]]",
        "[[ big.replace('x', '\\n')|indent(1000) ]]",
        "[[ [[1], [name]]|sum(start=[]) ]]",
        "[[ [1, [name]]|tojson(1000000) ]]",
        "[[ big + big ]]",
        "[% for x in range(100000) %][% for y in range(100000) %][% endfor %][% endfor %]",
        "[% for x in range(100000) if name == x %][% endfor %]" * 2,
        "[% for x in [1] recursive %][[ loop([1, 1]) ]][% endfor %]",
        "[% macro m(x) %][[ m(x) ]][[ m(x) ]][% endmacro %][[ m(name) ]]",
        "[% macro m(x) %][% if x > 0 %][[ m(x - 1) ]][[ m(x - 1) ]][% endif %][% endmacro %][[ m(60) ]]",
        "[% set x %][% for i in range(100000) %][[ big ]][% endfor %][% endset %][[ x|length ]]",
        "[% set x %][% for i in range(100000) %][[ big ]][% endfor %][% endset %]",
        "[% filter length %][% for i in range(100000) %][[ big ]][% endfor %][% endfilter %]",
        "[% for i in range(100000) %][[ big|length ]][% endfor %]",
        "[% for i in range(100000) %][% set x = big ~ i %][% endfor %]",
        "[[.big]][[.big]]",
        "[[range 100000]][[$x := len $.big]][[end]]",
        "[[range 100000]][[$x := js $.big]][[end]]",
        "[[$x := printf (print `%900000d%900000d` .name) 1 2]]",
        "[[range 100]][[.]][[$.big]][[end]]",
        "[[range 1000000000]][[end]]",
        "[[$x := `ab`]][[range 100]][[$x = print $x $x]][[end]]",
        "[[$x := `ab`]][[range 100]][[$x = html (printf `%s&%[1]s` $x)]][[end]]",
        "[[range 1000]][[range 1000]][[end]][[end]]",
        "[[range 9223372036854775807]]x[[end]]",
        "[[define `t`]][[template `t`]][[end]][[template `t`]]",
        "[[define `t`]][[template `t`]][[template `t`]][[end]][[template `t`]]",
        "[[define `t`]][[if lt (len .) 60]][[template `t` print . 1]][[template `t` print . 1]][[end]][[end]]"
        "[[template `t` ``]]",
        "[[define `t`]][[range 2]][[$.x]][[end]][[end]][[range 1000]][[template `t` $]][[end]]"
        "[[range 1000000]][[end]]",
    ],
)
def test_a_render_beyond_bounds_ends_soon_with_an_error(text: str) -> None:
    started = time.thread_time()
    with pytest.raises(TemplateError):
        compile_template(text, dialect_of(text)).render(PARAMS)
    assert time.thread_time() - started < 4


@pytest.mark.parametrize(
    "text",
    [
        "[[ name['__class__'] ]]",
        "[[ name|attr('__class__') ]]",
        "[[ name.format.im_func ]]",
        "[[ self.__init__ ]]",
        "[% macro m() %][% endmacro %][[ m['__init__'] ]][[ m|attr('__globals__') ]]",
        "[% for x in name %][[ loop['__init__'] ]][% endfor %]",
        "[[ ''|attr('__class__')|attr('__mro__') ]]",
        "[[ '{0.__class__}'.format(name) ]]",
        "[[ [name]|map(attribute='__class__')|join ]]",
    ],
)
def test_nothing_leads_into_pythons_insides(text: str) -> None:
    try:
        shown = compile_template(text, "jinja").render(PARAMS)
    except TemplateError:
        shown = ""
    assert "class" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "[[ name.nosuch() ]]",
        "[[ absent() ]]",
        "[[ name + 1 ]]",
        "[[ 1 / 0 ]]",
        "[[ absent - 1 ]]",
        "[[ name|int(1, 2, 3) ]]",
    ],
)
def test_whatever_goes_wrong_while_rendering_is_a_template_error(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^line 1: "):
        compile_template(text, "jinja").render(PARAMS)


def test_templates_that_call_themselves_for_ever_are_named_as_such() -> None:
    with pytest.raises(TemplateError, match=r"^2:3: exceeded maximum template depth \(100\)$"):
        compile_template("[[define `t`]]\n[[template `t`]][[end]][[template `t`]]")


def test_a_result_at_the_bound_is_fine() -> None:
    assert len(compile_template("[[.big]]").render(PARAMS)) == 1_000_000
    assert len(compile_template("[[if true]][[.big]][[end]]").render(PARAMS)) == 1_000_000


def test_threads_may_share_a_template() -> None:
    template = compile_template(
        "[[$x := .a]][[define `t`]][[$y := .]][[range 20]][[$y = print $y .]][[end]][[$y]][[end]]"
        "[[template `t` $x]][[printf `%s` .a]]"
    )
    wrong: list[str] = []

    def work(name: str) -> None:
        expected = name + "".join(map(str, range(20))) + name
        for _ in range(200):
            if (shown := template.render({"a": name})) != expected:
                wrong.append(shown)

    threads = [threading.Thread(target=work, args=(name,), name=f"render-{name}") for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not wrong
