"""Scopes as CPython's own symtable has them, for every name of a corpus; and an index that no expression is too long for."""

from __future__ import annotations

import ast
import random
import symtable
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from optmap.source.bindings import Symbols
from optmap.source.scopes import Scope, ScopeKind
from optmap.source.symbols import Index
from optmap.source.syntax import Comprehension

Block = tuple[int, frozenset[tuple[str, str]]]

inlined = pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="symtable of Python 3.12 and later puts comprehensions into the scope around them",
)

NASTY = [
    "x = 1\ndef f():\n    x = 2\n    def g():\n        nonlocal x\n        x = 3\n        class C:\n            x = x\n            def h(self): return x\n",
    "def f(a, /, b, *c, d=a0, **e):\n    return [a for a in b for b in a if (z := c)], z\n",
    "class C:\n    a = 1\n    b = [a for _ in a]\n    c = [q for q in (lambda: a)()]\n    def f(self, a=a): return a, b\n",
    "def f():\n    global g\n    g = 1\n    def h(): return g\n    class D:\n        g = 2\n        def i(self): return g\n",
    "def outer(g):\n    def f():\n        global g\n        def h():\n            return g\n        return h\n    return f, g\n",
    "class A:\n    __x = 1\n    def f(self, __y=2):\n        global __z\n        __z = __x\n        return __y, __z, _A__x, __dunder__\n",
    "class __A:\n    def f(self):\n        __b = 1\n        return lambda: __b\n",
    "def f():\n    try:\n        pass\n    except E as e:\n        def g(): return e\n    del e\n",
    "def f(x):\n    match x:\n        case {'a': b, **c}: pass\n        case [d, *e] | (d, *e): pass\n        case P(q=r) as s: pass\n        case _: pass\n    return lambda: (b, c, d, e, r, s)\n",
    "def f():\n    with a as (b, [c, *d]), e as g.h, i as j[k]: pass\n    for l.m in n: pass\n    for o[p], q in r: pass\n    async def s():\n        async for t in u: pass\n        async with v as w: pass\n        return [x async for x in y]\n",
    "def f():\n    import a.b, c.d as e\n    from g import h, i as j\n    from . import k\n    def l(): return a, c, e, h, i, j, k\n",
    "@a\ndef f(b: c = d, *e: g, h: i = j, **k: l) -> m:\n    b: n = 1\n    o: p\n    q.r: s = 2\n    (t): u = 3\n",
    "@a(lambda: b)\nclass f(c, d=e):\n    c = 1\n    e: g\n    nonsense = lambda c=c: (c, e)\n",
    "f = lambda a, b=lambda: a: (lambda a=a, *b, **c: (a, b, c))\n",
    "def f():\n    [[(y := x) for x in z] for z in w]\n    return y\nclass C:\n    v = {a: b for a, b in (lambda: c)() for c in a}\n",
    "def f():\n    x += 1\n    del (y, [z])\n    (w := 1)\n    print(x, y, z, w, v)\n",
    "def f():\n    def g():\n        def h():\n            return x\n        return h\n    x = 1\n    class C:\n        nonlocal x\n        x = 2\n",
    "x = [(lambda: i)() for i in range(3)]\ndef i(): return [i for j in i for i in j]\n",
    "def f(a):\n    class B:\n        global a\n        a = 1\n        def g(self): return a\n    return a\n",
    "def f():\n    return sum(x for x in (y for y in z) for z in x)\n",
]  # fmt: skip
if sys.version_info >= (3, 12):
    NASTY += [
        "def f[T: (int, str), *U, **P](x: T = y, *a: *U) -> T:\n    z: T\n    return T, U, P\n",
        "class C[T](B[T], k=T):\n    a: T\n    def f[S](self, x: S = T) -> T: return x, T, a\n",
        "class C:\n    a = 1\n    type X[T] = tuple[T, a]\n    def f[T: a](self, x: a): return a\n",
    ]


def hard_files() -> list[Path]:
    """Files of the standard library: those that are known to be hard, and a sample of the others."""
    root = Path(sysconfig.get_path("stdlib"))
    named = ("test_scope", "test_grammar", "test_named_expressions", "test_patma", "test_symtable", "test_listcomps")
    hard = [path for name in named if (path := root / "test" / f"{name}.py").exists()]
    packages = ("asyncio", "collections", "concurrent", "email", "importlib", "json", "logging", "unittest", "xml")
    others = sorted([*root.glob("*.py"), *(path for name in packages for path in (root / name).rglob("*.py"))])
    return [*hard, *random.Random(9).sample(others, min(60, len(others)))]


def ours(index: Index) -> Counter[Block]:
    elsewhere = _declared(index)
    return Counter((_line(scope), frozenset(_kinds(scope, elsewhere))) for scope in index.scopes)


def _declared(index: Index) -> set[str]:
    return {name for scope in index.scopes for name, kind in scope.declared.items() if kind is ast.Global}


def _line(scope: Scope) -> int:
    return 0 if scope.kind is ScopeKind.MODULE else scope.node.lineno  # type: ignore[attr-defined]


def _kinds(scope: Scope, elsewhere: set[str]) -> Iterator[tuple[str, str]]:
    """What each name is in a scope; the module's are left out that another scope declares global."""
    for name in {*scope.uses, *scope.binders, *scope.declared} - {"__class__"}:  # which methods get from Python
        owner = scope.owner(name)
        if scope.parent is None and name in elsewhere:
            continue
        if scope.parent is None:
            yield name, "bound" if owner is scope else "global"
        elif owner is None or owner.parent is None:
            yield name, "global"
        else:
            yield name, "local" if owner is scope else "free"


def theirs(table: symtable.SymbolTable, elsewhere: set[str]) -> Iterator[Block]:
    if table.get_name() in ("_annotation", "__annotate__"):
        return
    found = set()
    for symbol in table.get_symbols():
        name = symbol.get_name()
        seen = symbol.is_referenced() or symbol.is_assigned() or symbol.is_imported() or symbol.is_parameter()
        seen = (
            seen
            or symbol.is_annotated()
            or symbol.is_namespace()
            or symbol.is_declared_global()
            or symbol.is_nonlocal()
        )
        if name in (".0", "__class__", "__classdict__", ".type_params", ".generic_base") or not (
            seen or symbol.is_local()
        ):
            continue
        inside = table.get_name() in ("listcomp", "setcomp", "dictcomp", "genexpr") and not symbol.is_local()
        if inside and not symbol.is_referenced():
            continue  # `:=` binds around the comprehension
        if table.get_type() == "module" and name in elsewhere:
            continue
        if table.get_type() == "module":
            bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace() or symbol.is_annotated()
            found.add((name, "bound" if bound else "global"))
        else:
            top = symbol.is_parameter()  # in a function called `top`, symtable calls them global
            found.add((name, "global" if symbol.is_global() and not top else "free" if symbol.is_free() else "local"))
    yield (0 if table.get_type() == "module" else table.get_lineno()), frozenset(found)
    for child in table.get_children():
        yield from theirs(child, elsewhere)


def check(text: str, where: str) -> int:
    """Hold every name of every scope against symtable; returns how many there were."""
    if "from __future__ import annotations" in text:
        text = text.replace("from __future__ import annotations", "pass")
    index = Index(ast.parse(text))
    mine, other = ours(index), Counter(theirs(symtable.symtable(text, where, "exec"), _declared(index)))
    assert mine == other, (where, [*(mine - other)][:3], [*(other - mine)][:3])
    return sum(len(names) * count for (_, names), count in mine.items())


@inlined
@pytest.mark.parametrize("text", NASTY)
def test_nasty_scopes(text: str) -> None:
    assert check(text, "nasty") > 0


@inlined
def test_scopes_of_the_standard_library() -> None:
    count = 0
    for path in hard_files():
        try:
            text = path.read_text(encoding="utf-8")
            ast.parse(text)
            symtable.symtable(text, str(path), "exec")
        except (UnicodeDecodeError, SyntaxError):
            continue
        count += check(text, str(path))
    assert count > 10_000


def test_the_scope_of_a_node_is_the_one_that_reads_it() -> None:
    """What is derived from the nodes around a name agrees with the walk that found it."""
    for text in (*NASTY, *(path.read_text(encoding="utf-8", errors="replace") for path in hard_files()[:40])):
        try:
            index = Index(ast.parse(text))
        except SyntaxError:
            continue
        symbols = Symbols(index)
        for scope in index.scopes:
            for uses in scope.uses.values():
                assert all(symbols.scope(node) is scope for node in uses), ast.unparse(uses[0])


def test_every_node_has_its_parent_and_its_kind() -> None:
    for text in NASTY:
        index = Index(tree := ast.parse(text))
        shared = ast.expr_context | ast.operator | ast.unaryop | ast.cmpop | ast.boolop
        found = {id(node) for nodes in index.kinds.values() for node in nodes}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, shared):
                    assert index.parents[id(child)] is node
                    assert id(child) in found


def test_no_expression_is_too_long() -> None:
    text = "x = " + " + ".join(["a"] * 10_000)
    index = Index(_deep(10_000))
    symbols = Symbols(index)
    assert len(index.kinds[ast.Name]) == 10_001
    assert {id(symbols.scope(node)) for node in index.kinds[ast.Name]} == {id(index.module)}
    assert text.count("a") == 10_000


def _deep(terms: int) -> ast.Module:
    """`x = a + a + ...`, put together without the parser, which has limits of its own."""
    node: ast.expr = ast.Name("a", ast.Load())
    for _ in range(terms - 1):
        node = ast.BinOp(node, ast.Add(), ast.Name("a", ast.Load()))
    return ast.Module([ast.Assign([ast.Name("x", ast.Store())], node)], [])


def test_comprehensions_are_scopes() -> None:
    index = Index(ast.parse("[a for a in b]"))
    inner = next(scope for scope in index.scopes if isinstance(scope.node, Comprehension))
    assert inner.uses.keys() == {"a"}
    assert index.module.uses.keys() == {"b"}
