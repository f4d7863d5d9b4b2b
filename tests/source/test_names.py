"""Which dotted path does a chain stand for? Python's scope rules, checked on small files, and against symtable."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.source.names import Interest, collect, imported, possible_paths, statements
from optmap.source.scopes import Names, Scope, ScopeKind, chain_of
from optmap.source.text import read_source
from tests.properties import examples

TORCH = Interest(frozenset({"torch"}), ("torch.optim",))


def names_of(text: str, interest: Interest = TORCH, unbound: tuple[str, ...] = ()) -> Names:
    return collect(read_source(text.encode()), interest, unbound)


def meanings(text: str, interest: Interest = TORCH) -> dict[int, set[str | None]]:
    """Line of each reference -> the paths that it may stand for (empty where nothing binds it)."""
    names = names_of(text, interest)
    return {item.node.lineno: set(names.paths(item.chain, item.scope)) for item in names.references}


SGD = {"torch.optim.SGD"}


@pytest.mark.parametrize(
    ("imports", "use"),
    [
        ("import torch", "torch.optim.SGD"),
        ("import torch as t", "t.optim.SGD"),
        ("import torch.optim", "torch.optim.SGD"),
        ("import torch.optim as o", "o.SGD"),
        ("from torch import optim", "optim.SGD"),
        ("from torch import optim as o", "o.SGD"),
        ("from torch.optim import SGD", "SGD"),
        ("from torch.optim import SGD as S", "S"),
        ("from torch.optim import (Adam,\n SGD as S)", "S"),
        ("import os, torch, sys", "torch.optim.SGD"),
        ("import torch.nn", "torch.optim.SGD"),
        ("import torch; o = torch.optim", "o.SGD"),
        ("import torch\no = p = torch.optim", "p.SGD"),
        ("import torch\no: object = torch.optim", "o.SGD"),
        ("import torch as t\na = t\nb = a.optim", "b.SGD"),
        ("if x:\n  import torch", "torch.optim.SGD"),
        ("try:\n  import torch\nexcept ImportError:\n  torch = None", "torch.optim.SGD"),
        ("try: pass\nfinally:\n  import torch", "torch.optim.SGD"),
        ("with x:\n  import torch", "torch.optim.SGD"),
        ("while x:\n  import torch\nelse: pass", "torch.optim.SGD"),
        ("match x:\n  case 1:\n    import torch", "torch.optim.SGD"),
        ("import torch", "torch \\\n .optim. \\\n SGD"),
        ("import torch", "(torch\n .optim\n .SGD)"),
    ],
)
def test_spellings(imports: str, use: str) -> None:
    found = meanings(f"{imports}\nx = {use}()\n")
    assert found[max(found)] == SGD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a parameter is not the module, whatever kind of parameter it is
        ("from torch import optim\ndef f(optim):\n  optim.SGD()", {None}),
        ("from torch import optim\ndef f(optim, /): optim.SGD()", {None}),
        ("from torch import optim\ndef f(*, optim): optim.SGD()", {None}),
        ("from torch import optim\ndef f(*optim): optim.SGD()", {None}),
        ("from torch import optim\ndef f(**optim): optim.SGD()", {None}),
        ("from torch import optim\nasync def f(optim): optim.SGD()", {None}),
        ("from torch import optim\nf = lambda optim: optim.SGD()", {None}),
        ("from torch import optim\nf = lambda *optim: optim.SGD()", {None}),
        # defaults, decorators, annotations and bases belong to the scope around
        ("from torch import optim\ndef f(optim=optim.SGD()): pass", SGD),
        ("from torch import optim\ndef f(*, optim=optim.SGD()): pass", SGD),
        ("from torch import optim\nf = lambda optim=optim.SGD(): 0", SGD),
        ("from torch import optim\n@g(optim.SGD())\ndef f(optim): pass", SGD),
        ("from torch import optim\ndef f(optim: optim.SGD): pass", SGD),
        ("from torch import optim\ndef f(optim) -> optim.SGD: pass", SGD),
        ("from torch import optim\nclass optim2(optim.SGD):\n  optim = 1", SGD),
        ("from torch import optim\nclass C(metaclass=optim.SGD):\n  optim = 1", SGD),
        # functions see what is around them, but not class bodies
        ("from torch import optim\ndef f():\n  def g():\n    optim.SGD()", SGD),
        ("from torch import optim\ndef f(optim):\n  def g():\n    optim.SGD()", {None}),
        ("from torch import optim\nclass C:\n  optim = None or 1\n  def f(self):\n    optim.SGD()", SGD),
        ("from torch import optim\nclass C:\n  optim = 1\n  x = optim.SGD()", {None}),
        ("from torch import optim\nclass C:\n  optim = 1\n  x = [optim.SGD() for _ in y]", SGD),
        ("from torch import optim\nclass C:\n  optim = 1\n  x = lambda: optim.SGD()", SGD),
        ("class C:\n  from torch import optim\n  x = optim.SGD()", SGD),
        ("class C:\n  from torch import optim\n  def f(self):\n    optim.SGD()", set()),
        ("def f():\n  from torch import optim\n  optim.SGD()", SGD),
        ("def f():\n  from torch import optim\ndef g():\n  optim.SGD()", set()),
        # a local binding anywhere in the function hides the module's
        ("from torch import optim\ndef f():\n  optim.SGD()\n  optim = 1", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  for optim in x: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  with x as optim: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  import a.optim as optim", {"a.optim.SGD"}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  (optim := 1)", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  optim += 1", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  a, (b, *optim) = x", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  def optim(): pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  class optim: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  del optim", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  try: pass\n  except E as optim: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  match x:\n    case optim: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  match x:\n    case [1, *optim]: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  match x:\n    case {1: _, **optim}: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  match x:\n    case C(y=optim): pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  match x:\n    case (1 | 2) as optim: pass", {None}),
        ("from torch import optim\ndef f():\n  optim.SGD()\n  async def g():\n    optim = 1", SGD),
        # but an attribute or an item is no binding, and neither is a keyword's name
        ("from torch import optim\ndef f(s):\n  optim.SGD()\n  s.optim = 1", SGD),
        ("from torch import optim\ndef f(s):\n  optim.SGD()\n  s[optim2] = s.optim", SGD),
        ("from torch import optim\ndef f(s):\n  optim.SGD()\n  s(optim=1)", SGD),
        # comprehensions
        ("from torch import optim\n[optim.SGD() for optim in x]", {None}),
        ("from torch import optim\n[1 for optim in optim.SGD()]", SGD),
        ("from torch import optim\n{1: 2 for y in x for optim in y if optim.SGD()}", {None}),
        ("from torch import optim\n{1 for y in x for z in optim.SGD()}", SGD),
        ("from torch import optim\ndef f():\n  [optim for optim in x]\n  optim.SGD()", SGD),
        ("from torch import optim\ndef f():\n  [(optim := y) for y in x]\n  optim.SGD()", {None}),
        ("from torch import optim\ndef f():\n  [[(optim := y) for y in z] for z in x]\n  optim.SGD()", {None}),
        # global and nonlocal
        ("from torch import optim\ndef f():\n  global optim\n  optim = 1\n  optim.SGD()", {*SGD, None}),
        ("def f():\n  global optim\n  from torch import optim\ndef g():\n  optim.SGD()", SGD),
        ("def f():\n  global optim\n  from torch import optim\n  optim.SGD()", SGD),
        (
            "def f():\n  from torch import optim\n  def g():\n    nonlocal optim\n    optim = 1\n  optim.SGD()",
            {*SGD, None},
        ),
        ("from torch import optim\ndef f(optim):\n  def g():\n    global optim\n    optim.SGD()", SGD),
        (
            "from torch import optim\ndef f():\n  if x:\n    global optim\n  optim = 1\ndef g():\n  optim.SGD()",
            {*SGD, None},
        ),
        ("from torch import optim\nclass C:\n  global optim\n  optim = 1\ndef g():\n  optim.SGD()", {*SGD, None}),
        ("from torch import optim\ndef f():\n  optim = 1\n  class C:\n    nonlocal optim\n    optim.SGD()", {None}),
        # several bindings at once
        (
            "try:\n  from torch import optim\nexcept ImportError:\n  from jax import optim\noptim.SGD()",
            {*SGD, "jax.optim.SGD"},
        ),
        ("try:\n  from torch import optim\nexcept ImportError:\n  optim = None\noptim.SGD()", SGD),
        ("optim = None\nif x:\n  from torch import optim\noptim.SGD()", SGD),
        ("from torch import optim\nif x:\n  optim = make()\noptim.SGD()", {*SGD, None}),
        ("from torch import optim\nfor optim in x: pass\noptim.SGD()", {*SGD, None}),
        ("from torch import optim\ndel optim\noptim.SGD()", {*SGD, None}),
        ("from torch import optim\noptim: object\noptim.SGD()", SGD),
        ("from torch.optim import SGD\ndef SGD(x): pass\nSGD()", {*SGD, None}),
        ("from torch.optim import SGD\nSGD = wrap(SGD)\nSGD()", {*SGD, None}),
        # aliases
        ("import torch\no = torch.optim\no = o\no.SGD()", SGD),
        ("import torch\na = b\nb = a\na = torch.optim\nb.SGD()", {None}),
        ("import torch\ndef f():\n  o = torch.optim\n  def g():\n    o.SGD()", SGD),
        ("import torch\ndef f(torch):\n  o = torch.optim\n  o.SGD()", {None}),
        ("import torch\no = torch.optim if x else torch.nn\no.SGD()", set()),
        # relative imports are somebody else's modules
        ("from .torch import optim\noptim.SGD()", None),
        ("from . import torch\ntorch.optim.SGD()", None),
    ],
)
def test_scopes(text: str, expected: set[str | None] | None) -> None:
    ast.parse(text)
    names = names_of(text)
    wanted = [item for item in names.references if item.chain[-1] == "SGD"]
    if expected is None:
        assert all("torch.optim.SGD" not in names.paths(item.chain, item.scope) for item in names.references)
        return
    assert wanted or expected == set()
    assert {path for item in wanted[-1:] for path in names.paths(item.chain, item.scope)} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from torch import optim\noptim = optim.SGD()", SGD),
        ("from torch.optim import SGD\nSGD()\nfrom mine import SGD", SGD),
        ("from mine import SGD\nfrom torch.optim import SGD\nif x:\n  SGD()", SGD),
        ("from torch.optim import SGD\nfrom mine import SGD\nfor x in y:\n  SGD()", {"mine.SGD"}),
        ("from mine import SGD\nfrom torch.optim import SGD\nclass A:\n  o = SGD()\nfrom mine import SGD", SGD),
        # the order is not known
        ("from torch.optim import SGD\nfrom mine import SGD\ndef f():\n  SGD()", {*SGD, "mine.SGD"}),
        ("from torch.optim import SGD\nif x:\n  from mine import SGD\nSGD()", {*SGD, "mine.SGD"}),
        ("for x in y:\n  from torch.optim import SGD\n  SGD()\n  from mine import SGD", {*SGD, "mine.SGD"}),
        ("from torch.optim import SGD\ndef f():\n  global SGD\n  SGD = 1\nf()\nSGD()", {*SGD, None}),
        ("SGD()\nfrom torch.optim import SGD\nfrom mine import SGD", {*SGD, "mine.SGD"}),
    ],
)
def test_the_last_binding_counts_where_the_order_is_known(text: str, expected: set[str | None]) -> None:
    names = names_of(text)
    wanted = [item for item in names.references if item.chain[-1] == "SGD" and isinstance(item.node.ctx, ast.Load)]  # type: ignore[attr-defined]
    assert names.paths(wanted[-1].chain, wanted[-1].scope, wanted[-1].node) == expected


def test_names_that_nothing_binds_are_references_where_asked_for() -> None:
    names = names_of("x = torch.optim.SGD()\n", unbound=("torch",))
    assert [(item.chain, names.paths(item.chain, item.scope)) for item in names.references] == [
        (("torch", "optim", "SGD"), frozenset())
    ]
    assert names_of("x = torch.optim.SGD()\n").references == []


def test_stars_are_noted_with_their_scope() -> None:
    names = names_of("from torch.optim import *\nfrom . import *\ndef f():\n  pass\n", unbound=("SGD",))
    assert [path for path, _ in names.stars] == ["torch.optim", "."]
    assert all(scope is names.module for _, scope in names.stars)


def test_imports_are_noted_with_what_they_bind() -> None:
    names = names_of("import torch.optim, os as o\ndef f():\n  from torch.optim import SGD as S, Adam\n")
    found = [(item.local, item.path, item.index, item.scope.kind, len(item.ancestors)) for item in names.imports]
    assert found == [
        ("torch", "torch", 0, ScopeKind.MODULE, 0),
        ("o", "os", 1, ScopeKind.MODULE, 0),
        ("S", "torch.optim.SGD", 0, ScopeKind.FUNCTION, 1),
        ("Adam", "torch.optim.Adam", 1, ScopeKind.FUNCTION, 1),
    ]


def test_uses_tell_whether_an_import_is_still_needed() -> None:
    names = names_of("import torch\nx = torch.nn.Linear\ndef f():\n  return torch\ndef g(torch):\n  return torch.a\n")
    assert [node.lineno for node, _ in names.uses["torch"]] == [2, 4, 6]


def test_a_reference_is_as_long_as_its_chain_and_knows_what_is_around() -> None:
    names = names_of("import torch\ny = torch.optim.SGD(p).state[torch.optim.Adam].x\n")
    assert [item.chain for item in names.references] == [("torch", "optim", "SGD"), ("torch", "optim", "Adam")]
    assert isinstance(names.references[0].ancestors[-1], ast.Call)
    assert [type(node).__name__ for node in names.references[0].ancestors] == [
        "Assign",
        "Attribute",
        "Subscript",
        "Attribute",
        "Call",
    ]


def test_references_elsewhere_in_the_package_are_left_out() -> None:
    assert meanings("import torch\nx = torch.nn.Linear()\ny = torch.optim\n") == {3: {"torch.optim"}}


def test_dotted_strings() -> None:
    text = "import torch\na = 'torch.optim.SGD'\nb = 'optim'\nc = {'x': ['my.optim.y']}\nd = f'torch.optim.{x}'\n"
    assert [item.node.value for item in names_of(text).mentions][:2] == ["torch.optim.SGD", "my.optim.y"]


def test_statements_without_a_followed_name_are_not_entered() -> None:
    """The line index is only an index: nothing that mentions the name may be missed, wherever the statement begins."""
    text = "import torch\n@torch.optim.SGD\ndef f(): pass\nif x: pass\nelif torch.optim.SGD: pass\nx = (\n1,\ntorch.optim.SGD)\n"
    assert sorted(meanings(text)) == [2, 5, 8]


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ("a().b", None),
        ("a[0]", None),
        ("'x'.y", None),
        ("(a).b", ("a", "b")),
    ],
)
def test_chain_of(text: str, chain: tuple[str, ...] | None) -> None:
    assert chain_of(ast.parse(text, mode="eval").body) == chain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import a.b.c", [(0, "a", "a")]),
        ("import a.b as x, c", [(0, "x", "a.b"), (1, "c", "c")]),
        ("from a import b as c, d", [(0, "c", "a.b"), (1, "d", "a.d")]),
        ("from . import a", [(0, "a", ".a")]),
        ("from ..b import a", [(0, "a", "..b.a")]),
        ("from a import *", [(0, "*", "a.*")]),
    ],
)
def test_imported(text: str, found: list[tuple[int, str, str]]) -> None:
    statement = ast.parse(text).body[0]
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    assert list(imported(statement)) == found


def test_statements_are_in_order_and_enter_every_block() -> None:
    text = "if a:\n  b\nelse:\n  c\ntry:\n  d\nexcept E:\n  e\nfinally:\n  f\n"
    text += "def g():\n  h\nmatch i:\n  case 1:\n    j\nwhile 0: k\n"
    found = [
        node.value.id
        for node in statements(ast.parse(text).body)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Name)
    ]
    assert found == ["b", "c", "d", "e", "f", "h", "j", "k"]
    inner = [
        node.value.id
        for node in statements(ast.parse(text).body, same_scope=True)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Name)
    ]
    assert inner == ["b", "c", "d", "e", "f", "j", "k"]


def test_aliases_that_grow_for_ever_are_cut_off() -> None:
    source = read_source(b"import torch\na = torch\na = a.b\nb = a\na = b.c\n")
    found, _ = possible_paths(source, {"torch"}, (), "optim")
    assert {"torch", "torch.b"} <= found["a"]
    names_of("import torch\na = torch\na = a.optim\nb = a\na = b.optim\na.optim.SGD()\n")


# Against Python's own symbol tables

PIECES = [
    "import torch as n",
    "n = 1",
    "n += 1",
    "n: int",
    "n: int = 2",
    "for n in x: pass",
    "with x as n: pass",
    "del n",
    "(n := 1)",
    "[n for n in x]",
    "[(n := y) for y in x]",
    "def n(): pass",
    "class n: pass",
    "import a.n",
    "from a import n",
    "x.n = 1",
    "x(n=1)",
    "lambda n: n",
    "a, *n = x",
    "global n",
    "try:\n  pass\nexcept E as n:\n  pass",
    "match x:\n  case [*n]: pass",
    "match x:\n  case {**n}: pass",
    "match x:\n  case n: pass",
    "use(n)",
    "n.optim",
    "pass",
    "{n: 1 for y in n}",
    "nonlocal n",
    "async def f(n): pass",
    "def f(n=n): n",
    "@n\ndef g(): pass",
    "if (n := 3): pass",
]


def indent(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


BODIES: st.SearchStrategy[str] = st.recursive(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("\n".join),
    lambda inner: st.tuples(
        st.sampled_from(["def f0():\n", "class C0:\n", "def f1(n):\n", "if x:\n", "def f2():\n  n = 1\n"]), inner, inner
    ).map(lambda parts: f"{parts[0]}{indent(parts[1])}{parts[2]}"),
    max_leaves=5,
)


def tables_in_order(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        if child.get_type() in ("function", "class"):
            yield from tables_in_order(child)


@examples(400)
@given(BODIES)
def test_the_binding_scope_of_a_name_agrees_with_symtable(text: str) -> None:
    """For every function and class: is `n` bound here, at module level, or in a function between?"""
    text = f"import torch as n\n{text}\n"
    try:
        compile(text, "f", "exec", dont_inherit=True)
    except SyntaxError:
        return
    names = names_of(text)
    scopes: dict[tuple[str, int], list[Scope]] = {}
    for scope in names.scopes:
        if isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            line = min([scope.node.lineno, *(item.lineno for item in scope.node.decorator_list)])
            scopes.setdefault((scope.node.name, line), []).append(scope)
    for table in tables_in_order(symtable.symtable(text, "f", "exec")):
        found = scopes.get((table.get_name(), table.get_lineno()), [])
        if len(found) != 1 or "n" not in table.get_identifiers():
            continue
        symbol, scope = table.lookup("n"), found[0]
        owner = scope.owner("n")
        if symbol.is_local():
            assert owner is scope, table
        elif symbol.is_global():
            assert owner is None or owner is names.module, table
        elif symbol.is_free():
            assert owner is not None, table
            assert owner is not scope, table
            assert owner is not names.module, table
            assert owner.kind is ScopeKind.FUNCTION, table
