"""What a variable or a helper function may hold, and where it is used."""

from __future__ import annotations

import ast

from optmap.source.text import Source, read_source
from optmap.source.variables import Variable, Variables


def look_up(text: str, place: str) -> tuple[Source, Variable | None]:
    """The variable that the last expression written as `place` stands for."""
    source = read_source(text.encode())
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.expr) and ast.unparse(node) == place]
    loads = [node for node in nodes if isinstance(getattr(node, "ctx", ast.Load()), ast.Load)]
    return source, Variables(source).variable(max(loads, key=source.start))


def shown(variable: Variable) -> list[str]:
    return [
        ast.unparse(slot.value) + (f"[{slot.element}]" if slot.element is not None else "") for slot in variable.slots
    ]


def test_every_value_counts() -> None:
    _, found = look_up("a = [1]\nif x:\n    a = [2]\na += [3]\na: list\nb, a = f()\nuse(a)\ndel a\n", "a")
    assert found is not None
    assert shown(found) == ["[1]", "[2]", "[3]", "f()[1]"]
    assert found.blocker is None
    assert [use.lineno for use in found.uses] == [7]


def test_what_is_no_assignment_blocks() -> None:
    for text in (
        "with f() as a:\n    pass\n",
        "import a\n",
        "a -= [1]\n",
        "try:\n    pass\nexcept E as a:\n    pass\n",
    ):
        _, found = look_up(f"a = [1]\n{text}use(a)\n", "a")
        assert found is not None
        assert found.blocker is not None


def test_scopes_are_kept_apart() -> None:
    _, found = look_up("a = [1]\ndef f():\n    a = [2]\n    return a\n", "a")
    assert found is not None
    assert shown(found) == ["[2]"]
    _, found = look_up("a = [1]\ndef f(a):\n    return a\n", "a")
    assert found is None


def test_attributes_belong_to_one_class() -> None:
    body = "class A:\n    def f(self):\n        self.a = [1]\n        use(self.a)\n"
    _, found = look_up(body, "self.a")
    assert found is not None
    assert (shown(found), found.blocker) == (["[1]"], None)
    _, found = look_up(f"other.a = 3\n{body}", "self.a")
    assert found is not None
    assert found.blocker is not None
    _, found = look_up(f"{body}print(other.a)\n", "self.a")
    assert found is not None
    assert len(found.uses) == 2


def helper(text: str) -> tuple[list[str], list[str]] | None:
    """What the function that the last call of `f` runs returns and yields."""
    source = read_source(text.encode())
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "f"]
    found = Variables(source).helper(max(calls, key=source.start))
    return None if found is None else ([*map(ast.unparse, found.returns)], [*map(ast.unparse, found.yields)])


def test_helpers() -> None:
    assert helper("def f():\n    def g():\n        return 1\n    if x:\n        return 2\n    return 3\nf()\n") == (
        ["2", "3"],
        [],
    )
    assert helper("def f():\n    yield 1\nf()\n") == ([], ["1"])
    for text in ("@d\ndef f():\n    return 1\n", "async def f():\n    return 1\n", "def f():\n    return 1\nf = g\n",
                 "def f():\n    pass\n", "f = 1\n"):  # fmt: skip
        assert helper(f"{text}f()\n") is None
