"""Changes give the text and the tree from one source; comments, line endings and what is outside stay."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optmap.source.changes import Change, ConflictError, Delete, Insert, Rename, Replace, Where
from optmap.source.compose import to_edits
from optmap.source.edits import apply_edits
from optmap.source.proof import VerificationError, verify
from optmap.source.templates import CallTemplate, NewArgument, Template, copied, template
from optmap.source.text import Source, SourceError, read_source


def changed(source: Source, *changes: Change) -> str:
    edits = to_edits(source, changes)
    body = apply_edits(source.body, edits)
    verify(source, body, changes, edits)
    return body.decode()


def call(source: Source, name: str) -> ast.Call:
    return next(
        node for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
    )  # fmt: skip


def read(text: str) -> Source:
    return read_source(text.encode())


def test_a_slot_keeps_its_bytes() -> None:
    source = read("a = f(x , (y\n  + 1), # c\n  z)\n")
    node = call(source, "f")
    new = template("g($x)($y)[$z]", x=node.args[0], y=node.args[1], z=node.args[2])
    assert changed(source, Replace(node, new)) == "# c\na = g(x)((y\n  + 1))[z]\n"


def test_brackets_are_written_where_a_slot_needs_them() -> None:
    source = read("a = f(x + y)\n")
    node = call(source, "f")
    assert changed(source, Replace(node, template("$x.shape", x=node.args[0]))) == "a = (x + y).shape\n"
    assert changed(source, Replace(node, template("g($x)", x=node.args[0]))) == "a = g(x + y)\n"
    assert changed(source, Replace(node, template("($x)", x=node.args[0]))) == "a = (x + y)\n"


def test_changes_inside_a_slot_compose() -> None:
    source = read("a = f(g(h.old(1)))\n")
    outer, middle, inner = call(source, "f"), call(source, "g"), call(source, "old")
    assert isinstance(inner.func, ast.Attribute)
    changes: list[Change] = [
        Replace(outer, template("F($x)", x=middle)), Replace(middle, template("[$x]", x=inner)),
        Rename(inner.func, "new"), Replace(inner, template("float($x)", x=inner)),
        Replace(inner, template("int($x)", x=inner)),
    ]  # fmt: skip
    assert changed(source, *changes) == "a = F([float(int(h.new(1)))])\n"
    assert changed(source, *reversed(changes)) == "a = F([int(float(h.new(1)))])\n"


def test_equal_changes_are_one_and_different_ones_are_refused() -> None:
    source = read("a = f(1)\n")
    node = call(source, "f")
    one, other = Replace(node, Template("x")), Replace(node, Template("y"))
    assert changed(source, one, Replace(node, Template("x"))) == "a = x\n"
    with pytest.raises(ConflictError) as error:
        to_edits(source, [one, other])
    assert error.value.changes == (one, other)


def test_a_change_inside_what_is_replaced_is_refused() -> None:
    source = read("a = f(g(1))\n")
    with pytest.raises(ConflictError):
        to_edits(source, [Replace(call(source, "f"), Template("x")), Replace(call(source, "g"), Template("y"))])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_statements(newline: str) -> None:
    text = "\ufeffimport a\nif x:\n  # above\n  b() # beside\n  c(1,\n    2) # two\n  d()\n"
    source = read(text.replace("\n", newline))
    block = source.tree.body[1]
    assert isinstance(block, ast.If)
    first, second, third = block.body
    result = changed(
        source,
        Insert(source.tree.body[0], Where.AFTER, Template("import z")),
        Insert(first, Where.ABOVE, Template("def f():\n    return 1\n")),
        Replace((second, third), Template("e()")),
        Insert(third, Where.AFTER, template("with w:\n    $body", body=[second, third])),
        Delete(first),
    )
    expected = (
        "import a\nimport z\nif x:\n  def f():\n    return 1\n\n  # above\n  # beside\n  e()\n"
        "  with w:\n    c(1,\n      2) # two\n    d()\n"
    )
    assert result == expected.replace("\n", newline)


def test_the_last_statement_of_a_block() -> None:
    source = read("if x:\n    a()  # why\n    b()\ny = 1; z()  # end")
    block = source.tree.body[0]
    assert isinstance(block, ast.If)
    assert changed(source, *map(Delete, block.body)) == "if x:\n    pass  # why\ny = 1; z()  # end"
    assert changed(source, Delete(source.tree.body[1])) == "if x:\n    a()  # why\n    b()\nz()  # end"
    assert changed(source, Delete(source.tree.body[2])).endswith("y = 1  # end")


def test_members() -> None:
    source = read("from a import (b, # b\n  c, d)\nf(x, k=1, y=2)\n")
    names, keywords = source.tree.body[0], call(source, "f").keywords
    assert isinstance(names, ast.ImportFrom)
    result = changed(source, Delete(names.names[0]), Delete(names.names[2]), Delete(keywords[0]))
    assert result == "from a import (# b\n  c)\nf(x, y=2)\n"


def test_a_call_keeps_its_layout() -> None:
    source = read("o = A(\n    net.p(),  # all\n    lr=(0.1),\n    w=1,  # decay\n)\n")
    node = call(source, "A")
    new = CallTemplate(
        Template("m.B"),
        (
            NewArgument(None, copied(node.args[0]), 0),
            NewArgument("rate", template("float($x)", x=node.keywords[0].value), 1),
            NewArgument("z", Template("0")),
        ),
    )
    inside = next(item for item in ast.walk(node) if isinstance(item, ast.Attribute))
    result = changed(source, Replace(node, new), Rename(inside, "q"))
    assert result == "o = m.B(\n    net.q(),  # all\n    rate=float((0.1)),\n    z=0,\n    # decay\n)\n"


@pytest.mark.parametrize("wrong", ["a = f(2)\n", "a = g(1)\nb\n", "a = g(1\n", "b = g(1)\n", "a = g(1)  \n"])
def test_a_wrong_text_is_found_and_its_change_named(wrong: str) -> None:
    source = read("a = f(1)\n")
    node = call(source, "f")
    change = Replace(node, template("g($x)", x=node.args[0]))
    edits = to_edits(source, [change])
    if wrong.strip() == "a = g(1)":
        verify(source, wrong.encode()[:-3] + b"\n", [change], edits)
        return
    with pytest.raises(VerificationError):
        verify(source, wrong.encode(), [change], edits)


def test_the_guilty_change_is_told() -> None:
    source = read("a = f(1)\nx\nb = g(2)\n")
    one, other = Replace(call(source, "f"), Template("h(1)")), Replace(call(source, "g"), Template("h(2)"))
    edits = to_edits(source, [one, other])
    body = apply_edits(source.body, edits).replace(b"h(2)", b"h(3)")
    with pytest.raises(VerificationError) as error:
        verify(source, body, [one, other], edits)
    assert error.value.changes == (other,)


def test_deep_expressions() -> None:
    source = read("a = f(" + "+".join(f"p{index}" for index in range(900)) + ")\n")
    node = call(source, "f")
    assert changed(source, Replace(node, template("g($x, 1)", x=node.args[0]))).startswith("a = g(p0+p1")


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b.c", "1", "'s'", "-x", "f()", "(y)", "(\n a)"]),
    lambda inner: st.one_of(
        st.builds("{}+{}".format, inner, inner), st.builds("f({}, k={})".format, inner, inner),
        st.builds("[{} ,{}]".format, inner, inner), st.builds("h({} for x in {})".format, inner, inner),
        st.builds("({} if {} else c)".format, inner, inner),
        st.builds("g(\n  {}, # c\n  {},\n)".format, inner, inner), st.builds("({})[{}]".format, inner, inner),
    ),
    max_leaves=8,
)  # fmt: skip
SHAPES = ["h($x)", "$x.m()", "$x + 1", "[*$x]", "k[$x]", "lambda: $x", "(1, $x)", "$x", "not $x", "-$x"]


def reads(tree: ast.AST) -> list[ast.expr]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.expr))
    return [node for node in nodes if isinstance(getattr(node, "ctx", ast.Load()), ast.Load)]


@settings(max_examples=300, deadline=None)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), st.data())
def test_text_and_tree_agree(texts: list[str], data: st.DataObject) -> None:
    """Whatever is replaced by whatever around it, the text parses to the tree that is expected."""
    newline = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    source = read("".join(f"v{index} = ({text})\n" for index, text in enumerate(texts)).replace("\n", newline))
    nodes = reads(source.tree)
    chosen = data.draw(st.lists(st.sampled_from(nodes), max_size=4, unique_by=id))
    changes: list[Change] = []
    for node in chosen:
        inner = data.draw(st.sampled_from(reads(node)))
        changes.append(Replace(node, Template(f"({data.draw(st.sampled_from(SHAPES))})", (("x", inner),))))
    try:
        edits = to_edits(source, changes)
    except ConflictError:
        return
    body = apply_edits(source.body, edits)
    verify(source, body, changes, edits)
    if edits:
        dropped = data.draw(st.integers(0, len(edits) - 1))
        fewer = [*edits[:dropped], *edits[dropped + 1 :]]
        wrong = apply_edits(source.body, fewer)
        try:
            verify(source, wrong, changes, fewer)
        except (VerificationError, SourceError):
            return
        assert ast.dump(ast.parse(wrong)) == ast.dump(ast.parse(body))
