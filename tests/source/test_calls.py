"""The spans of a call's arguments: what `ast` leaves out, found in the text, and never in disagreement with the tree."""

from __future__ import annotations

import ast
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.source.calls import Argument, CallText, Form, Span, comments_in, display_items, read_call
from optmap.source.text import Source, SourceError, read_source
from tests.properties import examples


def read(text: str) -> tuple[Source, CallText]:
    """The outermost call of the last statement."""
    source = read_source(text.encode())
    calls = [node for node in ast.walk(source.tree.body[-1]) if isinstance(node, ast.Call)]
    return source, read_call(source, calls[0])


def shown(source: Source, arguments: tuple[Argument, ...]) -> list[tuple[str | None, str]]:
    """Name (`*` and `**` for unpacked ones, `0` for empty ones) and text of the value, parentheses included."""
    stars = {Form.UNPACKED_LIST: "*", Form.UNPACKED_MAPPING: "**", Form.EMPTY: "0"}
    return [(stars.get(item.form, item.name), text(source, item.value_span)) for item in arguments]


def text(source: Source, span: Span) -> str:
    return source.text(span.start, span.end)


def parsed(piece: str) -> str:
    return ast.dump(ast.parse(f"({piece}\n)", mode="eval").body)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("f()", []),
        ("f( )", []),
        ("f(  # nothing\n)", []),
        ("f(a)", [(None, "a")]),
        ("f(a,)", [(None, "a")]),
        ("f((a))", [(None, "(a)")]),
        ("f(((a)), b=((c)))", [(None, "((a))"), ("b", "((c))")]),
        (
            "f((a, b), [c, d], {e, f}, {g: h, i: j})",
            [(None, "(a, b)"), (None, "[c, d]"), (None, "{e, f}"), (None, "{g: h, i: j}")],
        ),
        ("f(g(a, b)[c, d], h[1:2, ::3])", [(None, "g(a, b)[c, d]"), (None, "h[1:2, ::3]")]),
        ("f(a = 1 , b= 2,c =3)", [("a", "1"), ("b", "2"), ("c", "3")]),
        ("f(a, *b, c, **d, e=1)", [(None, "a"), ("*", "b"), (None, "c"), ("**", "d"), ("e", "1")]),
        ("f(* b, ** d)", [("*", "b"), ("**", "d")]),
        ("f(*(b), **(d))", [("*", "(b)"), ("**", "(d)")]),
        ("f(a=1, *b)", [("a", "1"), ("*", "b")]),
        (
            "f('a, b)', \"(c\", b=',', c='''\n),\n''')",
            [(None, "'a, b)'"), (None, '"(c"'), ("b", "','"), ("c", "'''\n),\n'''")],
        ),
        ("f('a' 'b,', 'c'\n'd')", [(None, "'a' 'b,'"), (None, "'c'\n'd'")]),
        ("f(f'{a, b}', rb'\\',', b=f'{x!r:>{w}}')", [(None, "f'{a, b}'"), (None, "rb'\\','"), ("b", "f'{x!r:>{w}}'")]),
        ("f(lambda a, b: (a, b), key=lambda: 1)", [(None, "lambda a, b: (a, b)"), ("key", "lambda: 1")]),
        ("f(x for x in y)", [(None, "x for x in y")]),
        ("f((x for x in y))", [(None, "(x for x in y)")]),
        ("f((x for x in y), 1)", [(None, "(x for x in y)"), (None, "1")]),
        ("f(x for x in (y, z) if x)", [(None, "x for x in (y, z) if x")]),
        ("f( x for x in y )", [(None, "x for x in y")]),
        ("f(a := 1, (b := 2), c=(d := 3))", [(None, "a := 1"), (None, "(b := 2)"), ("c", "(d := 3)")]),
        (
            "f(a if b else c, not d, -e, await_)",
            [(None, "a if b else c"), (None, "not d"), (None, "-e"), (None, "await_")],
        ),
        ("f(a < b, c > d, e == g, h=i == j)", [(None, "a < b"), (None, "c > d"), (None, "e == g"), ("h", "i == j")]),
        ("f(\n    a,  # the first, (really\n    # between )\n    b=2,  # last\n)", [(None, "a"), ("b", "2")]),
        ("f(a\n# x, y\n, b)", [(None, "a"), (None, "b")]),
        ("f(b=  # why\n    1)", [("b", "1")]),
        ("f(b  # why\n    = 1)", [("b", "1")]),
        ("f(*  # why\n    a)", [("*", "a")]),
        ("f(a, \\\n  b=1)", [(None, "a"), ("b", "1")]),
        ("f(é, ü='ö', ñ=(ß))", [(None, "é"), ("ü", "'ö'"), ("ñ", "(ß)")]),
        ("f(1_000, 0x1F, 1e-3, 1j, .5)", [(None, "1_000"), (None, "0x1F"), (None, "1e-3"), (None, "1j"), (None, ".5")]),
        ("f(1if x else 2)", [(None, "1if x else 2")]),
        ("f(a@b, c**d, *e)", [(None, "a@b"), (None, "c**d"), ("*", "e")]),
        ("f(print)", [(None, "print")]),
        ("f(match=1, case=2, type=3, _=4)", [("match", "1"), ("case", "2"), ("type", "3"), ("_", "4")]),
    ],
)
def test_arguments(call: str, expected: list[tuple[str | None, str]]) -> None:
    source, found = read(f"x = {call}\n")
    assert shown(source, found.arguments) == expected


@pytest.mark.parametrize(
    ("call", "callee", "count"),
    [
        ("f(a)", "f", 1),
        ("a.b.c(d)", "a.b.c", 1),
        ("(f)(a)", "f", 1),
        ("((a.b))(c, d)", "a.b", 2),
        ("f (a)", "f", 1),
        ("(f) (a)", "f", 1),
        ("f(a)(b)", "f(a)", 1),
        ("f[0](a)", "f[0]", 1),
        ("(  # (\n    f)(a)", "f", 1),
        ("(f  # (\n)(a)", "f", 1),
        ("(f\n # )(\n)  (a)", "f", 1),
        ("(a  # x(\n .b)(c)", "a  # x(\n .b", 1),
        ("(lambda: (1))(2)", "lambda: (1)", 1),
        ("a \\\n .b \\\n (c)", "a \\\n .b", 1),
    ],
)
def test_callee(call: str, callee: str, count: int) -> None:
    source, found = read(f"x = ({call})\n")
    assert text(source, found.callee) == callee
    assert len(found.arguments) == count
    assert text(source, found.items.open) == "("
    assert text(source, found.items.close) == ")"
    assert found.items.close.end == source.end(found.node)


@pytest.mark.parametrize("call", ["f(a, b,)", "f(\n    a,\n    b,  # x\n)", "f(a, (b, c),)", "f(a, b=(1,),)"])
def test_trailing_comma(call: str) -> None:
    source, found = read(call)
    comma = found.items.trailing_comma
    assert comma is not None
    assert text(source, comma) == ","
    assert comma.start >= found.items.pieces[-1].end
    assert len(found.items.commas) == len(found.items.pieces) == 2


@pytest.mark.parametrize("call", ["f()", "f(a)", "f(a, b)", "f((a,))", "f(a, (b,))", "f(',')", "f(a  # ,\n)"])
def test_no_trailing_comma(call: str) -> None:
    assert read(call)[1].items.trailing_comma is None


def test_names_have_spans() -> None:
    source, found = read("f(a, lr = 0.1, **d)")
    assert [item.name_span and text(source, item.name_span) for item in found.arguments] == [None, "lr", None]
    assert [text(source, item.span) for item in found.arguments] == ["a", "lr = 0.1", "**d"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_endings(newline: str) -> None:
    lines = [
        "# é",
        "x = f(",
        "    a,  # one",
        "",
        "    b = (",
        "        1,",
        "        2,",
        "    ),",
        "    c='''x",
        "y''',",
        ")",
        "",
    ]
    source, found = read(newline.join(lines))
    values = [(None, "a"), ("b", newline.join(["(", "        1,", "        2,", "    )"])), ("c", f"'''x{newline}y'''")]
    assert shown(source, found.arguments) == values
    assert comments_in(source, found.items.open.start, found.items.close.end) == ["# one"]


# Displays are looked through


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("f(*[a, b], c)", [(None, "a"), (None, "b"), (None, "c")]),
        ("f(*(a,), **{'lr': 1})", [(None, "a"), ("lr", "1")]),
        ("f(a, **{'lr': (1), \"eps\": 2,}, c=3)", [(None, "a"), ("lr", "(1)"), ("eps", "2"), ("c", "3")]),
        ("f(**dict(lr=0.1, eps=(2)), b=1)", [("lr", "0.1"), ("eps", "(2)"), ("b", "1")]),
        ("f(**dict(**{'a': 1}, b=2))", [("**", "dict(**{'a': 1}, b=2)")]),
        ("f(**({'a': 1}))", [("a", "1")]),
        ("f(*([a]))", [(None, "a")]),
        ("f(**{  # why\n 'a'  # b\n : 1})", [("a", "1")]),
        ("f(**{('a'  # b: c\n): (1)})", [("a", "(1)")]),
        ("f(**{('a')  # b: c\n : 1})", [("a", "1")]),
        ("f(**{(('a')): 1}, **{'b'\n:\n2})", [("a", "1"), ("b", "2")]),
        ("f(**{'a': {'x': 1}, 'b': c[1:2]})", [("a", "{'x': 1}"), ("b", "c[1:2]")]),
        ("f(*[])", [("0", "[]")]),
        ("f(*(), a)", [("0", "()"), (None, "a")]),
        ("f(**{})", [("0", "{}")]),
        ("f(*[a, *b])", [("*", "[a, *b]")]),
        ("f(**{'a': 1, **b})", [("**", "{'a': 1, **b}")]),
        ("f(**{key: 1})", [("**", "{key: 1}")]),
        ("f(**{'not a name': 1})", [("**", "{'not a name': 1}")]),
        ("f(**{'class': 1})", [("**", "{'class': 1}")]),
        ("f(*{a, b})", [("*", "{a, b}")]),
        ("f(**dict(a))", [("**", "dict(a)")]),
        ("f(**dict())", [("**", "dict()")]),
        ("f(**make(a=1))", [("**", "make(a=1)")]),
        ("f(*'ab')", [("*", "'ab'")]),
    ],
)
def test_displays(call: str, expected: list[tuple[str | None, str]]) -> None:
    source, found = read(f"x = {call}\n")
    assert shown(source, found.arguments) == expected
    for argument in found.arguments:
        assert parsed(text(source, argument.value_span)) == ast.dump(argument.node)


@pytest.mark.parametrize(
    "binding",
    [
        "dict = make\n",
        "from x import dict\n",
        "def dict(**k): pass\n",
        "class dict: pass\n",
        "import x as dict\n",
        "dict: int = 1\n",
        "for dict in x: pass\n",
        "def g(dict):\n    ",
        "with x as dict: pass\n",
        "dict, y = make\n",
        "(dict := make)\n",
    ],
)
def test_a_dict_that_is_not_the_builtin_is_not_looked_through(binding: str) -> None:
    source = read_source(f"{binding}x = f(**dict(a=1))\n".encode())
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    found = read_call(source, next(node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "f"))
    assert [argument.form for argument in found.arguments] == [Form.UNPACKED_MAPPING]


def test_wrapping_covers_what_goes() -> None:
    """Without the wrapping, the call is the same call written plainly."""
    call = "f(*[a, (b)], c, **{'x': 1, 'y': 2,}, **dict(z=3), w=4)"
    _, found = read(call)
    gone = sorted((span.start, span.end) for span in found.wrapping)
    kept = "".join(
        call[last:start] for (_, last), (start, _) in itertools.pairwise([(0, 0), *gone, (len(call), len(call))])
    )
    kept = kept.replace("'x': ", "x=").replace("'y': ", "y=")
    assert ast.dump(ast.parse(kept)) == ast.dump(ast.parse("f(a, b, c, x=1, y=2, z=3, w=4)"))


# Split and comments


def test_a_list_is_split() -> None:
    source = read_source(b"x = [a, (b, c), {d: e},  # x, y\n]\n")
    node = source.tree.body[0].value  # type: ignore[attr-defined]
    items = display_items(source, node)
    assert [text(source, piece) for piece in items.pieces] == ["a", "(b, c)", "{d: e}"]
    assert (len(items.commas), text(source, items.open), text(source, items.close)) == (3, "[", "]")


@pytest.mark.parametrize(
    ("display", "pieces"),
    [
        ("(a, b)", ["a", "b"]),
        ("((a), (b),)", ["(a)", "(b)"]),
        ("[]", []),
        ("()", []),
        ("{}", []),
        ("[ # x\n]", []),
        ("(a,)", ["a"]),
        ("((a, b), c)", ["(a, b)", "c"]),
        ("{'a': (1), **b, ('c'): 2}", ["'a': (1)", "**b", "('c'): 2"]),
        ("{** (b)}", ["** (b)"]),
        ("[*a, (yield_)]", ["*a", "(yield_)"]),
        ("[x for x in y][0], 2", None),
        ("[(a)  # )\n, b]", ["(a)", "b"]),
    ],
)
def test_displays_are_split_at_their_commas(display: str, pieces: list[str] | None) -> None:
    source = read_source(f"x = {display}\n".encode())
    node = source.tree.body[0].value  # type: ignore[attr-defined]
    if pieces is None:
        with pytest.raises(SourceError):
            display_items(source, node)
    else:
        assert [text(source, piece) for piece in display_items(source, node).pieces] == pieces


def test_comments_in() -> None:
    source = read_source(b"x = f(a,  # one\n  '# no',\n  # two\r\n  b,\n)\n")
    assert comments_in(source, source.body.index(b"a,"), source.body.index(b")\n")) == ["# one", "# two"]
    assert comments_in(source, 0, 4) == []


@pytest.mark.parametrize("call", ["f'{g(a, b)}'", "f'''{g(\na)}'''"])
def test_a_call_inside_an_f_string_raises_at_most_a_source_error(call: str) -> None:
    source = read_source(f"x = {call}\n".encode())
    node = next(node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
    try:
        found = read_call(source, node)
    except SourceError:
        return
    assert [ast.dump(argument.node) for argument in found.arguments] == [ast.dump(item) for item in node.args]


# Any call

BLANKS = st.sampled_from(
    ["", "", "", " ", "  ", "\n", "\n    ", " # c\n", "\t", " \\\n", "\x0c", "# (,\n", "\n\n  # '\n "]
)
VALUES = st.sampled_from(
    [
        "a",
        "1",
        "-1e-3",
        "a.b",
        "'x,)'",
        '"""y\n("""',
        "f(a, b=c)",
        "(a)",
        "((a), b)",
        "[1, 2][0]",
        "{a: b, **c}",
        "lambda x, y=(1): x",
        "a if b else c",
        "not a",
        "a[1:2, ...]",
        "(yield_)",
        "(x := 3)",
        "[i for i in j if k]",
        "(i for i in j)",
        "b'#'",
        "'a' 'b'",
        "f'{a}'",
        "é",
        "a == b",
        "*()",
        "{*a}",
        "()",
        "{}",
        "r'\\x'",
        "f'{a:{b}}'",
        "1 .real",
        "a\n.b",
        "(\n#c\na)",
        "~a",
        "a or b and c",
        "None",
    ]
).filter(lambda value: not value.startswith("*"))


@st.composite
def calls(draw: st.DrawFn) -> str:
    def blank() -> str:
        return draw(BLANKS)

    forms = draw(st.lists(st.sampled_from(["positional", "keyword", "*", "**"]), max_size=5))
    ranks = {"positional": 0, "*": 0, "keyword": 1, "**": 2}
    forms.sort(key=ranks.__getitem__)
    names = iter(["lr", "betas", "é", "match", "x_1"])
    pieces = []
    for form in forms:
        value = draw(VALUES)
        lead = {"positional": "", "*": f"*{blank()}", "**": f"**{blank()}"}.get(form)
        if lead is None:
            lead = f"{next(names)}{blank()}={blank()}"
        pieces.append(f"{blank()}{lead}{value}{blank()}")
    comma: bool = draw(st.booleans())
    trailing = "," + blank() if pieces and comma else ""
    callee = draw(st.sampled_from(["f", "a.b", "(f)", "a[0].b", "(a\n.b)", "f()", "(  # (\nf)", "a . b"]))
    gap = draw(st.sampled_from(["", " ", "  "]))
    return f"{callee}{gap}({','.join(pieces)}{trailing}{blank() if not pieces else ''})"


@examples(400)
@given(
    calls(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["x = {}\n", "def g():\n    return {}\n", "é = 'ü'; y = ({})  # end", "if 1:\n\t{}"]),
)
def test_any_call(call: str, newline: str, frame: str) -> None:
    data = frame.format(call).replace("\n", newline).encode()
    source = read_source(data)
    node = max(
        (item for item in ast.walk(source.tree) if isinstance(item, ast.Call)),
        key=lambda item: source.end(item) - source.start(item),
    )
    found = read_call(source, node)
    assert text(source, found.callee) == source.text(source.start(node.func), source.end(node.func))
    plain: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    if any(map(_looked_through, plain)):
        plain = []
    if plain:
        plain.sort(key=source.start)
        assert len(found.arguments) == len(plain)
    for argument, item in zip(found.arguments, plain, strict=False):
        if isinstance(item, ast.keyword):
            assert (argument.form, argument.name) == (Form.KEYWORD if item.arg else Form.UNPACKED_MAPPING, item.arg)
            assert argument.node is item.value
        else:
            assert argument.name is None
            assert argument.node is (item.value if isinstance(item, ast.Starred) else item)
            assert argument.form is (Form.UNPACKED_LIST if isinstance(item, ast.Starred) else Form.POSITIONAL)
    for argument in found.arguments:
        assert parsed(text(source, argument.value_span)) == ast.dump(argument.node)
        assert argument.span.start <= argument.value_span.start < argument.value_span.end <= argument.span.end
        if argument.name_span is not None and not argument.entry:
            assert text(source, argument.name_span) == argument.name
    ordered = [
        span
        for pair in itertools.zip_longest(found.items.pieces, found.items.commas)
        for span in pair
        if span is not None
    ]
    if not found.wrapping:
        edges = [found.items.open, *ordered, found.items.close]
        assert all(left.end <= right.start for left, right in itertools.pairwise(edges))
        assert {text(source, comma) for comma in found.items.commas} <= {","}


def _looked_through(item: ast.expr | ast.keyword) -> bool:
    if isinstance(item, ast.Starred):
        return isinstance(item.value, ast.List | ast.Tuple)
    return isinstance(item, ast.keyword) and item.arg is None and isinstance(item.value, ast.Dict | ast.Call)
