"""Go's actions, each with what Go's text/template makes of it over a map of strings."""

from __future__ import annotations

import pytest

from overseer.templates import compile_template

PARAMS = {
    "name": "bob",
    "zero": "0",
    "no": "false",
    "empty": "",
    "n": "3",
    "uni": "é€",
    "x1": "X",
    "ünïcode": "U",
}


def render(text: str) -> str:
    return compile_template(text).render(PARAMS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("[[.name]]", "bob"),
        ("[[ .name ]]", "bob"),
        ("[[\t.name\t]]", "bob"),
        ("[[\n.name\r\n]]", "bob"),
        ("[[$.name]]", "bob"),
        ("[[ $.name ]]", "bob"),
        ("<[[.name]][[.n]]>", "<bob3>"),
        ("[[.ünïcode]][[.x1]]", "UX"),
        ("[[.absent]]", ""),
        ("a[[.absent]]b", "ab"),
        ("[[.absent.deeper.still]]", ""),
        ("[[.Name]]", ""),
        ("[[(.name)]]", "bob"),
        ("[[ ( ( .name ) ) ]]", "bob"),
        ("[[($).name]]", "bob"),
        ("[[(.).name]]", "bob"),
        ('[[index . "name"]]', "bob"),
        ('[[index $ "absent"]]', ""),
        ("[[len .]]", "8"),
        # A field cannot begin with a digit; such a param is reached through index.
        ('[[index . "1"]]', ""),
    ],
)
def test_fields_show_the_params(text: str, expected: str) -> None:
    assert render(text) == expected


def test_the_dot_itself_shows_as_a_map_with_sorted_keys() -> None:
    assert compile_template("[[.]]|[[$]]").render({"b": "2", "a": "1"}) == "map[a:1 b:2]|map[a:1 b:2]"


@pytest.mark.parametrize(
    "text",
    [
        "{% if x %}",
        "{{ .Name }}/{{.Year}}-{{.Month}}",
        "{# no comment #}",
        "${#x} ${x[0]} $((1+2))",
        "a\r\nb\rc\n",
        "ends with a newline\n",
        "\n\n",
        "]] ] [ [x] ] ",
        "%}-%}  -]]",
        '{"json": [1, [2, 3]], "deep": {"a": {}}}',
        "# line statement\n## comment",
        "\\n \\x41 'quotes\" `",
        "\udcff\u2028\ufeff\0",
    ],
)
@pytest.mark.parametrize("action", ["[[.name]]", "[[if .name]]bob[[end]]", "[[ print .name ]]"])
def test_text_outside_of_actions_is_verbatim(text: str, action: str) -> None:
    assert render(text) == text
    assert render(f"{text}{action}{text}") == f"{text}bob{text}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a [[- .name]] b", "abob b"),
        ("a [[.name -]] b", "a bobb"),
        ("a \r\n\t[[- .name -]] \n b", "abobb"),
        ("a [[-\n.name\n-]] b", "abobb"),
        ("a [[- print 3 .empty -]] b", "a3b"),
        ("a [[- print -3 .empty -]] b", "a-3b"),
        (" [[- .name]]", "bob"),
        ("[[.name -]] ", "bob"),
        ("[[.name -]]  [[- .name]]", "bobbob"),
        ("a\u00a0[[- .name]]", "a\u00a0bob"),
        ("a [[- print .name -]] b", "abobb"),
        ("[[.name -]] \u00a0b", "bob\u00a0b"),
        ("[[if .name -]] x [[- end]]", "x"),
        ("a[[/* comment */]]b", "ab"),
        ("a [[- /* comment */ -]] b", "ab"),
        ("a [[- /* comment */]] b", "a b"),
        ("a [[/* comment */ -]] b", "a b"),
        ("[[/* a ]] within and [[.name]] */]]x", "x"),
        ("[[/* over\ntwo lines */]]x", "x"),
        ("[[/**/]]", ""),
        ('[["]]"]]', "]]"),
        ("[[`]]`]]", "]]"),
        ('[["[["]].name]]', "[[.name]]"),
    ],
)
def test_trim_marks_and_comments(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[if .name]]T[[end]]", "T"),
        ("[[if .empty]]T[[end]]", ""),
        ("[[if .empty]]T[[else]]F[[end]]", "F"),
        ("[[if .absent]]T[[else]]F[[end]]", "F"),
        ("[[if .zero]]T[[else]]F[[end]]", "T"),
        ("[[if .no]]T[[else]]F[[end]]", "T"),
        ("[[if .]]T[[else]]F[[end]]", "T"),
        ("[[if 0]]T[[else]]F[[end]]", "F"),
        ("[[if 1]]T[[else]]F[[end]]", "T"),
        ("[[if 0.0]]T[[else]]F[[end]]", "F"),
        ("[[if 1.5]]T[[else]]F[[end]]", "T"),
        ("[[if ``]]T[[else]]F[[end]]", "F"),
        ("[[if `notempty`]]T[[else]]F[[end]]", "T"),
        ("[[if true]]T[[else]]F[[end]]", "T"),
        ("[[if false]]T[[else]]F[[end]]", "F"),
        ("[[if not .name]]T[[else]]F[[end]]", "F"),
        ('[[if eq .name "bob"]]T[[end]]', "T"),
        ('[[if(eq .name "bob")]]T[[end]]', "T"),
        ("[[if.name]]T[[end]]", "T"),
        ("[[if eq 1 3]]1[[else if eq 2 3]]2[[else if eq 3 3]]3[[end]]", "3"),
        ("[[if .empty]]1[[else if .absent]]2[[else]]3[[end]]", "3"),
        ("[[if .empty]]1[[else if .name]]2[[else]]3[[end]]", "2"),
        ("[[if .name]]1[[else if .name]]2[[else]]3[[end]]", "1"),
        ("[[if .empty]]1[[else]][[if .name]]2[[end]][[end]]", "2"),
        ("[[if and true 1 `hi`]]T[[else]]F[[end]]", "T"),
        ("[[if and true 1 `hi` | not]]T[[else]]F[[end]]", "F"),
        ("[[if $x := .name]][[$x]][[end]]", "bob"),
        ("[[if $x := .empty]]T[[else]]F[[$x]][[end]]", "F"),
        ("[[if .empty]][[else if $y := .name]][[$y]][[end]]", "bob"),
        ("[[ if .name ]] [[- .x1 -]] [[ end ]]", "X"),
        ("[[if .name]][[end]]", ""),
    ],
)
def test_if(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[with .name]]<[[.]]>[[end]]", "<bob>"),
        ("[[with .empty]]T[[end]]", ""),
        ("[[with .absent]]T[[else]]F[[.name]][[end]]", "Fbob"),
        ("[[with .name]][[$.n]][[end]]", "3"),
        ("[[with $x := .name]][[.]][[$x]][[end]]", "bobbob"),
        ("[[with $x := .empty]]T[[else]]<[[$x]]>[[end]]", "<>"),
        ("[[with .]][[.name]][[end]]", "bob"),
        ("[[with $]][[with .name]][[.]][[with $.n]][[.]][[end]][[.]][[end]][[.n]][[end]]", "bob3bob3"),
        ("[[with .empty]]1[[else with .name]]<[[.]]>[[else]]3[[end]]", "<bob>"),
        ("[[with .empty]]1[[else with .absent]]2[[else]]3[[.name]][[end]]", "3bob"),
        ("[[with .name]]a[[end]][[with .n]][[.]][[end]]", "a3"),
        ("[[with 7]][[.]][[end]]", "7"),
        ("[[if true]][[with .name]][[.]][[end]][[else]][[with .n]][[.]][[end]][[end]]", "bob"),
    ],
)
def test_with(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[range .]]<[[.]]>[[end]]", "<1><2><3>"),
        ("[[range $]]<[[.]]>[[end]]", "<1><2><3>"),
        ("[[range $v := .]][[$v]][[end]]", "123"),
        ("[[range $k, $v := .]][[$k]]=[[$v]] [[end]]", "a=1 b=2 c=3 "),
        ("[[range $k , $v := .]][[$k]]=[[.]] [[end]]", "a=1 b=2 c=3 "),
        ("[[range 3]][[.]][[end]]", "012"),
        ("[[range $i := 3]][[$i]],[[end]]", "0,1,2,"),
        ("[[range 0]]T[[else]]F[[.a]][[end]]", "F1"),
        ("[[range .absent]]T[[else]]F[[end]]", "F"),
        ("[[range len .a]][[.]][[end]]", "0"),
        ("[[range .]][[$.a]][[end]]", "111"),
        ("[[range .]][[range $]][[.]][[end]];[[end]]", "123;123;123;"),
        ("[[range .]][[if eq . `2`]][[break]][[end]][[.]][[end]]", "1"),
        ("[[range .]][[if eq . `2`]][[continue]][[end]][[.]][[end]]", "13"),
        ("[[range .]][[with .]][[if eq . `2`]][[ break ]][[end]][[.]][[end]][[end]]", "1"),
        ("[[range .]][[range 2]][[break]][[end]][[.]][[end]]", "123"),
        ("[[range 2]][[range 0]][[else]][[break]][[end]]x[[end]]", ""),
        ("[[$n := 0]][[range .]][[$n = .]][[end]][[$n]]", "3"),
        ("[[$k := 0]][[$v := 0]][[range $k, $v = .]][[end]][[$k]][[$v]]", "c3"),
        ("[[$v := 0]][[range $v = .]][[end]][[$v]]", "3"),
        ("[[range 2]][[$x := .]][[$x]][[end]]", "01"),
        ("[[range .]][[else]]F[[end]]", ""),
        ("[[range $x := .]][[end]][[.a]]", "1"),
    ],
)
def test_range(text: str, expected: str) -> None:
    assert compile_template(text).render({"c": "3", "a": "1", "b": "2"}) == expected


def test_a_range_over_no_params_takes_the_else() -> None:
    assert compile_template("[[range .]]T[[else]]F[[end]]").render({}) == "F"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[$x := 1]][[$x]]", "1"),
        ("[[$x := .name]]<[[$x]]>", "<bob>"),
        ("[[$x:=.name]][[$x]]", "bob"),
        ("[[$x := 1]][[$x = 2]][[$x]]", "2"),
        ("[[$x := 1]][[if true]][[$x = 2]][[end]][[$x]]", "2"),
        ("[[$x := 1]][[if true]][[$x := 2]][[$x]][[end]][[$x]]", "21"),
        ("[[$x := 1]][[$x := print $x 1]][[$x]]", "1 1"),
        ("[[if $x := true]][[with $y := .n]][[$x]],[[$y]][[end]][[end]]", "true,3"),
        ("[[if $x := true]][[with $x := .n]][[$x]],[[end]][[$x]][[end]]", "3,true"),
        ("[[$x := .]][[$x.name]]", "bob"),
        ("[[$x := .absent]]<[[$x]]>", "<>"),
        ("[[$x := print nil]][[$x]]", "<nil>"),
        ("[[$x1_y := `v`]][[$x1_y]]", "v"),
        ("[[with .name]][[$.n]][[end]]", "3"),
        ("[[($x := 3)]][[$x]]", "33"),
        ("[[$x := 1]][[range 3]][[$x = .]][[end]][[$x]]", "2"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[define `t`]]<[[.]]>[[end]][[template `t` .name]]", "<bob>"),
        ('[[template "t" .name]][[define "t"]]<[[.]]>[[end]]', "<bob>"),
        ("[[define `t`]]x[[end]]", ""),
        ("[[define `t`]]<[[.]]>[[end]][[template `t`]]", "<>"),
        ("[[define `t`]]<[[.name]][[$.name]]>[[end]][[template `t`]]", "<>"),
        ("[[define `t`]][[.name]][[$.n]][[end]][[template `t` .]]", "bob3"),
        ("[[define `a`]]a[[template `b` .]][[end]][[define `b`]]b[[.]][[end]][[template `a` 1]]", "ab1"),
        ("[[block `t` .name]]<[[.]]>[[end]]", "<bob>"),
        ("[[block `t` .name]]<[[.]]>[[end]][[template `t` .n]]", "<bob><3>"),
        ("[[if true]][[block `t` .name]]<[[.]]>[[end]][[end]]", "<bob>"),
        ("[[define `t`]] [[end]][[define `t`]]x[[end]][[template `t`]]", "x"),
        ("[[define `t`]]x[[end]][[define `t`]] \n[[end]][[template `t`]]", "x"),
        ("[[define `t`]][[$x := .]][[$x]][[end]][[$x := 1]][[template `t` 2]][[$x]]", "21"),
        ("[[define `\\n`]]r[[end]][[template `\\n`]]", "r"),
        (
            "[[define `t`]][[if .]][[slice . 0 1]][[template `t` slice . 1]][[end]][[end]]"
            "[[template `t` .name]]",
            "bob",
        ),
        ("[[range 2]][[template `t` .]][[end]][[define `t`]]([[.]])[[end]]", "(0)(1)"),
    ],
)
def test_templates_within_templates(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[0]]", "0"),
        ("[[42]]", "42"),
        ("[[-42]]", "-42"),
        ("[[+42]]", "42"),
        ("[[0x1F]]", "31"),
        ("[[0XfF]]", "255"),
        ("[[017]]", "15"),
        ("[[0o17]]", "15"),
        ("[[0b101]]", "5"),
        ("[[1_000_000]]", "1000000"),
        ("[[0x_ff]]", "255"),
        ("[[9223372036854775807]]", "9223372036854775807"),
        ("[[-9223372036854775808]]", "-9223372036854775808"),
        ("[[1.5]]", "1.5"),
        ("[[1.0]]", "1"),
        ("[[.5]]", "0.5"),
        ("[[5.]]", "5"),
        ("[[1e3]]", "1000"),
        ("[[1e6]]", "1e+06"),
        ("[[123456.0]]", "123456"),
        ("[[1234567.0]]", "1.234567e+06"),
        ("[[1e5]]", "100000"),
        ("[[1e-4]]", "0.0001"),
        ("[[1e-5]]", "1e-05"),
        ("[[1.5e-7]]", "1.5e-07"),
        ("[[1e100]]", "1e+100"),
        ("[[0x1p4]]", "16"),
        ("[[-0.1]]", "-0.1"),
        ("[[3.141592653589793]]", "3.141592653589793"),
        ("[['a']]", "97"),
        (r"[['\n']]", "10"),
        (r"[['\'']]", "39"),
        (r"[['\x41']]", "65"),
        (r"[['\101']]", "65"),
        (r"[['\u00e9']]", "233"),
        ("[['é']]", "233"),
        ("[['€']]", "8364"),
        (r'[["a\tb\n\"q\"\\"]]', 'a\tb\n"q"\\'),
        (r'[["\x41\101\u00e9\U0001F600"]]', "AAé😀"),
        (r'[["\xc3\xa9"]]', "é"),
        (r'[["\xff"]]', "\udcff"),
        (r"[[`raw \n " "quotes`]]", r"raw \n " "quotes"),
        ("[[`two\r\nlines`]]", "two\nlines"),
        ('[[""]]', ""),
    ],
)
def test_literals(text: str, expected: str) -> None:
    assert render(f"[[$v := {text[2:-2]}]][[$v]]") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[.name | print]]", "bob"),
        ("[[.name|print]]", "bob"),
        ("[[.name | printf `%s-%s` .n]]", "3-bob"),
        ("[[.name | len | printf `%03d`]]", "003"),
        ('[[.name | print "b" | print "c"]]', "cbbob"),
        ("[[.n | len | print 2]]", "2 1"),
        ("[[printf `%d %d %d` (1) (len .name) (len (print .name .n))]]", "1 3 4"),
        ("[[(index . `name`) | len]]", "3"),
        ("[[ .name | shquote ]]", "bob"),
        ("[[ shquote .name ]]", "bob"),
        ("[[print (.name)]]", "bob"),
        ("[[with $x := .name | printf `%s!`]][[$x]][[end]]", "bob!"),
        ("[[$v := print print]][[$v]]", ""),
        ("[[$v := print html js urlquery print println]][[$v]]", "\n"),
    ],
)
def test_pipelines(text: str, expected: str) -> None:
    assert render(text) == expected
