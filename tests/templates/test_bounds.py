"""No template hangs, fills the memory or gets at Python's insides, whatever its params say."""

from __future__ import annotations

import threading
import time

import pytest

from overseer.errors import TemplateError
from overseer.templates import compile_template
from tests.harness import allowed

PARAMS = {"name": "bob", "big": "x" * 1_000_000, "number": "999999999"}


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
        "[[.big]][[.big]]",
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
    template = compile_template(text)
    started = time.monotonic()
    with pytest.raises(TemplateError):
        template.render(PARAMS)
    assert time.monotonic() - started < allowed(2)


@pytest.mark.parametrize(
    "text",
    [
        "[[ name['__class__'] ]]",
        "[[ name|attr('__class__') ]]",
        "[[ name.format.im_func ]]",
        "[[ ''|attr('__class__')|attr('__mro__') ]]",
        "[[ '{0.__class__}'.format(name) ]]",
        "[[ [name]|map(attribute='__class__')|join ]]",
    ],
)
def test_nothing_leads_into_pythons_insides(text: str) -> None:
    try:
        shown = compile_template(text).render(PARAMS)
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
    with pytest.raises(TemplateError, match=r"^1:3: |^1:4: "):
        compile_template(text).render(PARAMS)


def test_templates_that_call_themselves_for_ever_are_named_as_such() -> None:
    template = compile_template("[[define `t`]]\n[[template `t`]][[end]][[template `t`]]")
    with pytest.raises(TemplateError, match=r"^2:3: exceeded maximum template depth \(100\)$"):
        template.render({})


def test_a_result_at_the_bound_is_fine() -> None:
    assert len(compile_template("[[.big]]").render(PARAMS)) == 1_000_000
    assert len(compile_template("[[if true]][[.big]][[end]]").render(PARAMS)) == 1_000_000


def test_threads_may_share_a_template() -> None:
    template = compile_template(
        "[[$x := .a]][[define `t`]][[$y := .]][[range 20]][[$y = print $y .]][[end]][[$y]][[end]]"
        "[[template `t` $x]][[ a|upper ]]"
    )
    wrong: list[str] = []

    def work(name: str) -> None:
        expected = name + "".join(map(str, range(20))) + name.upper()
        for _ in range(200):
            if (shown := template.render({"a": name})) != expected:
                wrong.append(shown)

    threads = [threading.Thread(target=work, args=(name,), name=f"render-{name}") for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not wrong
