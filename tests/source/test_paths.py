"""Which dotted path does a chain stand for, and where may a file speak of one? Python's scope rules, on small files."""

from __future__ import annotations

import ast

import pytest

from optmap.source.model import Mentions, Module
from optmap.source.paths import possible_paths
from optmap.source.symbols import Index
from optmap.source.syntax import chain_of, imported, statements
from optmap.source.text import Source, read_source

TORCH = ("torch.optim",)


def model(text: str) -> tuple[Source, Module]:
    source = read_source(text.encode())
    return source, Module.of(source)


def meanings(text: str) -> dict[int, set[str | None]]:
    """Line of each reference -> the paths that it may stand for (empty where nothing binds it)."""
    _source, module = model(text)
    return {item.node.lineno: set(module.paths(item.node)) for item in module.references(TORCH).references}


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
        ("from torch import optim\ndel optim\noptim.SGD()", SGD),
        ("from torch import optim\noptim: object\noptim.SGD()", SGD),
        ("from torch.optim import SGD\ndef SGD(x): pass\nSGD()", {None}),
        ("from torch.optim import SGD\nSGD = wrap(SGD)\nSGD()", {None}),
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
    _source, module = model(text)
    found = module.references(TORCH).references
    if expected is None:
        assert not found
        return
    wanted = [item for item in found if item.chain[-1] == "SGD" and isinstance(item.node.ctx, ast.Load)]  # type: ignore[attr-defined]
    assert {path for item in wanted[-1:] for path in module.paths(item.node)} == expected


ORDER = [
    ("from torch import optim\noptim = optim.SGD()", SGD),
    ("from torch.optim import SGD\nSGD()\nfrom mine import SGD", SGD),
    ("from mine import SGD\nfrom torch.optim import SGD\nif x:\n  SGD()", SGD),
    ("from torch.optim import SGD\nfrom mine import SGD\nfor x in y:\n  SGD()", {"mine.SGD"}),
    ("from mine import SGD\nfrom torch.optim import SGD\nclass A:\n  o = SGD()\nfrom mine import SGD", SGD),
    ("from mine import SGD\nfrom torch.optim import SGD\n[SGD() for x in y]\nfrom mine import SGD", SGD),
    ("from torch.optim import SGD\nSGD()\ndel SGD\n", SGD),
    ("from mine import SGD\ndel SGD\nfrom torch.optim import SGD\nSGD()", SGD),
    ("from mine import SGD\nif x:\n  from torch.optim import SGD\n  SGD()", SGD),
    ("from mine import SGD\nif x:\n  from torch.optim import SGD\nelse:\n  from torch.optim import SGD\nSGD()", SGD),
    ("from mine import SGD\nif x:\n  from torch.optim import SGD\nelse:\n  raise E\nSGD()", SGD),
    ("from mine import SGD\nif x:\n  pass\nelif y:\n  from torch.optim import SGD\n  SGD()", SGD),
    ("from mine import SGD\nfor x in y:\n  from torch.optim import SGD\n  SGD()\nfrom mine import SGD", SGD),
    ("from mine import SGD\ntry:\n  from torch.optim import SGD\nfinally:\n  pass\nSGD()", SGD),
    ("from mine import SGD\ntry:\n  pass\nfinally:\n  from torch.optim import SGD\nSGD()", SGD),
    ("def f(SGD):\n  from torch.optim import SGD\n  SGD()", SGD),
    # what a function reads is bound before its definition, or later
    ("from mine import SGD\nfrom torch.optim import SGD\ndef f():\n  SGD()", SGD),
    ("from mine import SGD\nfrom torch.optim import SGD\nf = lambda: SGD()", SGD),
    ("from mine import SGD\nfrom torch.optim import SGD\nclass A:\n  def f(self):\n    return [SGD() for x in self]", SGD),
    ("from mine import SGD\nfor x in y:\n  from torch.optim import SGD\n  def f():\n    SGD()", SGD),
    # the order is not known
    ("from torch.optim import SGD\ndef f():\n  SGD()\nfrom mine import SGD", {*SGD, "mine.SGD"}),
    ("for x in y:\n  from mine import SGD\n  from torch.optim import SGD\n  def f():\n    SGD()", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\nwhile (lambda: SGD())():\n  from mine import SGD", {*SGD, "mine.SGD"}),
    ("from mine import SGD\nfrom torch.optim import SGD\ndef f():\n  SGD()\ndef g():\n  global SGD\n  SGD = 1", {*SGD, None}),
    ("from torch.optim import SGD\nf = (SGD() for x in y)\nfrom mine import SGD", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\nif x:\n  from mine import SGD\nSGD()", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\nwhile x:\n  SGD()\n  from mine import SGD", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\nwhile SGD():\n  from mine import SGD", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\nwith x:\n  from mine import SGD\nSGD()", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\ntry:\n  from mine import SGD\nexcept E:\n  SGD()", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\ntry:\n  from mine import SGD\nexcept E:\n  pass\nSGD()", {*SGD, "mine.SGD"}),
    ("from torch.optim import SGD\nmatch x:\n  case [SGD]:\n    SGD()", {*SGD, None}),
    ("from torch.optim import SGD\nif (SGD := x) or SGD():\n  pass", {*SGD, None}),
    ("from torch.optim import SGD\ndef f():\n  global SGD\n  SGD = 1\nf()\nSGD()", {*SGD, None}),
    ("SGD()\nfrom torch.optim import SGD\nfrom mine import SGD", {*SGD, "mine.SGD"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ORDER)
def test_the_last_binding_counts_where_the_order_is_known(text: str, expected: set[str | None]) -> None:
    _source, module = model(text)
    found = module.references(TORCH).references
    wanted = [item for item in found if item.chain[-1] == "SGD" and isinstance(module.parent(item.node), ast.Call)]
    assert module.paths(wanted[-1].node) == expected


def test_a_name_may_be_asked_for_at_another_place() -> None:
    source, module = model("from a import x\nx()\nfrom b import x\nx()\n")
    first, second = (node.func for node in module.nodes(ast.Call))
    assert module.paths(first) == {"a.x"}
    assert module.paths(first, at=second) == {"b.x"}
    assert module.paths(module.nodes(ast.Call)[0]) == frozenset()
    assert source.tree is module.tree


def test_names_that_nothing_binds_are_references_where_asked_for() -> None:
    _source, module = model("x = torch.optim.SGD()\n")
    found = module.references(TORCH, unbound=["torch"]).references
    assert [(item.chain, module.paths(item.node)) for item in found] == [(("torch", "optim", "SGD"), frozenset())]
    assert module.references(TORCH) == Mentions((), ())


def test_stars_are_those_that_a_place_sees() -> None:
    source, module = model("from torch.optim import *\nfrom . import *\nSGD()\n")
    found = module.references(TORCH, unbound=["SGD"]).references
    assert [item.chain for item in found] == [("SGD",)]
    assert module.stars(found[0].node) == module.stars() == ("torch.optim", ".")
    assert source.memo


def test_a_reference_is_as_long_as_its_chain_and_knows_what_is_around() -> None:
    _source, module = model("import torch\ny = torch.optim.SGD(p).state[torch.optim.Adam].x\n")
    found = module.references(TORCH).references
    assert {item.chain for item in found} == {("torch", "optim", "SGD"), ("torch", "optim", "Adam")}
    (node,) = (item.node for item in found if item.chain[-1] == "SGD")
    around = [type(item).__name__ for item in module.ancestors(node)]
    assert around == ["Call", "Attribute", "Subscript", "Attribute", "Assign", "Module"]


def test_references_elsewhere_in_the_package_are_left_out() -> None:
    assert meanings("import torch\nx = torch.nn.Linear()\ny = torch.optim\n") == {3: {"torch.optim"}}
    assert meanings("import torch\nx = torch.optimum\n") == {}


def test_dotted_strings() -> None:
    text = "import torch\na = 'torch.optim.SGD'\nb = 'optim'\nc = {'x': ['my.optim.y']}\nd = f'torch.optim.{x}'\n"
    _source, module = model(text)
    found = [node.value for node in module.references(TORCH, hint="optim").strings]
    assert found[:2] == ["torch.optim.SGD", "my.optim.y"]


def test_references_in_every_part_of_a_statement() -> None:
    text = "import torch\n@torch.optim.SGD\ndef f(): pass\nif x: pass\nelif torch.optim.SGD: pass\nx = (\n1,\ntorch.optim.SGD)\n"
    assert sorted(meanings(text)) == [2, 5, 8]


def test_aliases_that_grow_for_ever_are_cut_off() -> None:
    found = possible_paths(Index(ast.parse("import torch\na = torch\na = a.b\nb = a\na = b.c\n")), {"torch"})
    assert {"torch", "torch.b"} <= found["a"]
    meanings("import torch\na = torch\nwhile x:\n  a = a.optim\n  b = a\n  a = b.optim\na.optim.SGD()\n")


def test_long_chains_of_branches_are_followed() -> None:
    text = "import torch\nif a: pass\n" + "elif b: pass\n" * 1500 + "else: torch.optim.SGD()\n"
    assert len(meanings(text)) == 1


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
