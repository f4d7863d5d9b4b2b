"""What a name holds, who calls a function, what stands around a node: each question on small files."""

from __future__ import annotations

import ast
import gc
import time
from weakref import ref

import pytest

from optmap.source.model import Module, Variable
from optmap.source.text import Source, read_source


def model(text: str) -> tuple[Source, Module]:
    source = read_source(text.encode())
    return source, Module.of(source)


def asked(module: Module) -> ast.expr:
    """The argument of the last `ask(...)`."""
    call = [node for node in module.nodes(ast.Call) if isinstance(node.func, ast.Name) and node.func.id == "ask"][-1]
    return call.args[0]


def held(text: str) -> tuple[list[str], str | None]:
    """The values of what the last `ask(...)` is given, sorted, and the place that hides others."""
    _source, module = model(text)
    found = module.reaching(asked(module))
    assert found.complete == (found.unknown is None)
    return sorted(map(ast.unparse, found.values)), _place(found.unknown)


def _place(node: ast.AST | None) -> str | None:
    return None if node is None else f"{type(node).__name__}:{getattr(node, 'lineno', 0)}"


def called(module: Module, name: str) -> ast.Call:
    """The last call of a function or method of that name."""
    return [
        node for node in module.nodes(ast.Call) if getattr(node.func, "attr", getattr(node.func, "id", "")) == name
    ][-1]


# What is held


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ask(0.1)", ["0.1"]),
        ("lr = 0.1\nask(lr)", ["0.1"]),
        ("lr = rate = 0.1\nother = lr\nask(other)", ["0.1"]),
        ("lr: float = 0.1\nask(lr)", ["0.1"]),
        ("ask(lr := 0.1)", ["0.1"]),
        ("if (lr := f()):\n  ask(lr)", ["f()"]),
        ("ask(1 if x else 2)", ["1", "2"]),
        ("lr = a or 0.1\na = 1\nask(lr)", ["0.1", "1"]),
        ("if x:\n  lr = 1\nelse:\n  lr = 2\nask(lr)", ["1", "2"]),
        ("lr = 1\nif x:\n  lr = 2\nask(lr)", ["1", "2"]),
        ("lr = 1\nlr = 2\nask(lr)\nlr = 3", ["2"]),
        ("lr = 1\nask(lr)\ndel lr", ["1"]),
        ("lr = 1\ndel lr\nlr = 2\nask(lr)", ["2"]),
        ("a, b = 1, 2\nask(b)", ["2"]),
        ("a, (b, c) = 1, (2, 3)\nask(a)", ["1"]),
        ("[a, b] = [1, 2]\nask(a)", ["1"]),
        ("p = 1, 2\na, b = p\nask(b)", ["2"]),
        ("a, *b = 1, 2, 3\nask(a)", ["1"]),
        ("a, b = (1, 2) if x else (3, 4)\nask(b)", ["2", "4"]),
        ("for lr in (1, 2):\n  ask(lr)", ["1", "2"]),
        ("rates = [1, 2]\nfor lr in rates:\n  ask(lr)", ["1", "2"]),
        ("for a, b in [(1, 2), (3, 4)]:\n  ask(b)", ["2", "4"]),
        ("[ask(lr) for lr in (1, 2)]", ["1", "2"]),
        ("[ask(b) for a, b in [(1, 2), (3, 4)]]", ["2", "4"]),
        ("def f():\n  return 1\nask(f())", ["1"]),
        ("def f():\n  if x:\n    return 1\n  def g():\n    return 2\n  return 3\nask(f())", ["1", "3"]),
        ("def f():\n  return 1, 2\na, b = f()\nask(b)", ["2"]),
        ("def f():\n  return g()\ndef g():\n  return 1\nask(f())", ["1"]),
        ("def f(lr):\n  ask(lr)\nf(1)\nf(lr=2)", ["1", "2"]),
        ("def f(a, lr=3):\n  ask(lr)\nf(1)\nf(1, 2)", ["2", "3"]),
        ("def f(*, lr=3):\n  ask(lr)\nf(lr=2)", ["2"]),
        ("def f(lr):\n  g(lr)\ndef g(rate):\n  ask(rate)\nf(1)", ["1"]),
        ("def f(lr):\n  return lr\nask(f(1))", ["1"]),
        ("def f():\n  f = 1\n  ask(f)\nf()", ["1"]),
        ("class A:\n  def __init__(self):\n    self.lr = 1\n  def g(self):\n    ask(self.lr)", ["1"]),
        ("class A:\n  def __init__(this):\n    this.lr = 1\n  def g(me):\n    ask(me.lr)", ["1"]),
        ("class A:\n  def __init__(self):\n    self.lr, self.b = 1, 2\n  def g(self):\n    ask(self.lr)", ["1"]),
        ("class A:\n  lr = 1\n  def g(self):\n    ask(self.lr)", ["1"]),
        ("class A:\n  lr = 1\nask(A.lr)", ["1"]),
        ("class A:\n  lr = 1\n  rate = lr\n  ask(rate)", ["1"]),
        ("class A:\n  lr = 1\n  def f(self):\n    self.lr = 2\n    ask(self.lr)", ["1", "2"]),
        ("class A:\n  def __init__(self, lr=3):\n    self.lr = lr\n    ask(self.lr)\nA(1)\nA()", ["1", "3"]),
        ("class A:\n  def f(self):\n    return 1\n  def g(self):\n    ask(self.f())", ["1"]),
        ("class A:\n  def f(self, lr):\n    ask(lr)\n  def g(self):\n    self.f(1)", ["1"]),
        ("class A:\n  @staticmethod\n  def f(lr):\n    ask(lr)\n  def g(self):\n    self.f(1)\nA.f(2)", ["1", "2"]),
        ("class A:\n  @classmethod\n  def f(cls, lr):\n    ask(lr)\nA.f(2)", ["2"]),
        ("class A:\n  def f(self, lr):\n    ask(lr)\na = A()\na.f(1)\nA().f(2)\nA.f(a, 3)", ["1", "2", "3"]),
        ("class B:\n  def f(self):\n    self.lr = 1\nclass A(B):\n  def g(self):\n    ask(self.lr)", ["1"]),
        ("class B:\n  lr = 1\nclass A(B):\n  def g(self):\n    ask(self.lr)", ["1"]),
        ("class A(Unknown):\n  def f(self):\n    self.lr = 1\n    ask(self.lr)", ["1"]),
        ("class A:\n  def f(self):\n    self.__lr = 1\n    ask(self.__lr)", ["1"]),
        ("def f():\n  global lr\n  lr = 1\nask(lr)", ["1"]),
        ("def f():\n  lr = 1\n  def g():\n    nonlocal lr\n    lr = 2\n  ask(lr)", ["1", "2"]),
        ("def f():\n  lr = 1\n  def g():\n    ask(lr)", ["1"]),
        ("ask(int)", ["int"]),
        ("def f(): pass\ng = f\nask(g)", ["f"]),
        ("class A: pass\ng = A\nask(g)", ["A"]),
        ("lr = [1]\nask(lr)\nlen(lr)", ["[1]"]),
        ("lr = obj.rate\nask(lr)", ["obj.rate"]),
        ("lr = lr2 = 1\nlr2 = 2\nask(lr)", ["1"]),
    ],
)  # fmt: skip
def test_what_may_be_seen(text: str, values: list[str]) -> None:
    assert held(text) == (values, None)


@pytest.mark.parametrize(
    ("text", "values", "unknown"),
    [
        ("ask(lr)", ["lr"], "Name:1"),
        ("from m import *\nask(lr)", ["lr"], "Name:2"),
        ("f = lambda lr: ask(lr)", [], "arg:1"),
        ("import lr\nask(lr)", ["lr"], "alias:1"),
        ("lr = 1\nlr += 2\nask(lr)", ["1"], "Name:2"),
        ("with f() as lr:\n  ask(lr)", [], "Name:1"),
        ("try: pass\nexcept E as lr:\n  ask(lr)", [], "ExceptHandler:2"),
        ("match x:\n  case [lr]:\n    ask(lr)", [], "MatchAs:2"),
        ("for lr in f():\n  ask(lr)", [], "Call:1"),
        ("for i, lr in enumerate([1]):\n  ask(lr)", [], "Call:1"),
        ("async def f():\n  async for lr in [1]:\n    ask(lr)", [], "Name:2"),
        ("a, lr = f()\nask(lr)", [], "Call:1"),
        ("a, lr = 1, *b\nask(lr)", [], "Tuple:1"),
        ("*a, lr = 1, 2\nask(lr)", [], "Name:1"),
        ("(a, lr), b = x\nask(lr)", [], "Name:1"),
        ("def f(lr):\n  ask(lr)", [], "arg:1"),
        ("def f(lr=1):\n  ask(lr)", ["1"], "arg:1"),
        ("def f(lr):\n  ask(lr)\ng = f\nf(1)", ["1"], "arg:1"),
        ("@d\ndef f(lr):\n  ask(lr)\nf(1)", ["1"], "arg:2"),
        ("async def f(lr):\n  ask(lr)\nf(1)", [], "arg:1"),
        ("def f(lr):\n  ask(lr)\nf(1)\nf(*x)", ["1"], "Call:4"),
        ("def f(lr):\n  ask(lr)\nf(1)\nf(**x)", ["1"], "Call:4"),
        ("def f(*lr):\n  ask(lr)\nf(1)", [], "Call:3"),
        ("def f(lr):\n  lr = g(lr)\n  ask(lr)\nf(1)", ["g(lr)"], None),
        ("if x:\n  def f(): return 1\nelse:\n  def f(): return 2\nask(f())", ["f()"], None),
        ("lr = [1]\nlr.append(2)\nask(lr)", ["[1]"], "Name:2"),
        ("lr = [1]\nlr[0] = 2\nask(lr)", ["[1]"], "Name:2"),
        ("rates = [1]\nrates.append(2)\nfor lr in rates:\n  ask(lr)", ["1"], "Name:2"),
        ("lr = 1\ndef f():\n  global lr\n  lr = g()\nask(lr)", ["1", "g()"], None),
        ("lr = 1\ndef f():\n  global lr\n  lr += 1\nask(lr)", ["1"], "Name:4"),
        ("class A:\n  def f(self):\n    self.lr = 1\n    ask(self.lr)\na.lr = 2", ["1"], "Attribute:5"),
        ("class A:\n  def f(self, n):\n    self.lr = 1\n    ask(self.lr)\n    setattr(self, n, 2)", ["1"], "Call:5"),
        ("class A:\n  def f(self, n):\n    self.lr = 1\n    ask(self.lr)\n    self.__dict__.update(n)", ["1"], "Attribute:5"),
        ("class A:\n  def f(self, n):\n    self.lr = 1\n    ask(self.lr)\n    vars(self)[n] = 2", ["1"], "Call:5"),
        ("class A:\n  def f(self):\n    self.lr += 1\n    ask(self.lr)", [], "Attribute:3"),
        ("@dataclass\nclass A:\n  lr: float = 1\n  def f(self):\n    ask(self.lr)", ["1"], "Name:3"),
        ("class A(Model):\n  lr: float = 1\n  def f(self):\n    ask(self.lr)", ["1"], "Name:2"),
        ("class A(Unknown):\n  def f(self, lr):\n    ask(lr)\n  def g(self):\n    self.f(1)", ["1"], "arg:2"),
        ("class A:\n  def f(self, lr):\n    ask(lr)\n  def g(self):\n    self.f(1)\nx.f(2)", ["1", "2"], "arg:2"),
        ("class A:\n  def f(self):\n    ask(self)", [], "arg:2"),
        ("class A:\n  def __init__(self, lr):\n    ask(lr)\nA(1)\nuse(A)", [], "arg:2"),
        ("a = b\nb = a\nask(a)", [], "Name:3"),
    ],
)  # fmt: skip
def test_what_hides_a_value(text: str, values: list[str], unknown: str | None) -> None:
    assert held(text) == (values, unknown)


SHADOWS = [
    "def f():\n  lr = 0.5\n",
    "def f(lr=0.5): pass\nf(0.6)\n",
    "def f():\n  def g():\n    lr = 0.5\n",
    "async def f():\n  lr = 0.5\n",
    "class C:\n  lr = 0.5\n",
    "class C:\n  def lr(self): pass\n",
    "class C:\n  def f(self):\n    self.lr = 0.5\n    lr = 0.6\n",
    "class C:\n  def f(self, lr): pass\n",
    "x = [lr for lr in (0.5, 0.6)]\n",
    "x = {lr: 1 for lr in (0.5, 0.6)}\n",
    "x = lambda lr: lr\n",
    "x = (lr for lr in y)\n",
    "def f():\n  try: pass\n  except E as lr: pass\n",
    "def f(x):\n  match x:\n    case [lr]: pass\n",
    "def f():\n  with g() as lr: pass\n",
    "def f():\n  import lr\n",
    "def f():\n  for lr in x: pass\n",
    "def f():\n  lr = 0.5\n  def g():\n    nonlocal lr\n    lr = 0.6\n",
    "x.lr = 0.5\n",
    "x(lr=0.5)\n",
]


@pytest.mark.parametrize("shadow", SHADOWS)
def test_a_name_of_the_same_spelling_elsewhere_changes_nothing(shadow: str) -> None:
    """Before and behind: for values, paths, variables, helper functions and holders alike."""
    for text in (
        f"lr = make()\n{shadow}ask(lr)\n",
        f"{shadow}lr = make()\nask(lr)\n",
        f"lr = make()\nask(lr)\n{shadow}",
    ):
        source, module = model(text)
        node = asked(module)
        found = module.reaching(node)
        assert (list(map(ast.unparse, found.values)), found.complete) == (["make()"], True)
        variable = module.variable(node)
        assert variable is not None
        assert variable.scope is source.tree
        assert len(variable.bindings) == 1
        assert node in variable.uses
        assert module.holder(called(module, "make")) is variable
        assert module.paths(node) == {None}
    for text in (f"import a.lr as lr\n{shadow}ask(lr)\n", f"{shadow}import a.lr as lr\nask(lr)\n"):
        _source, module = model(text)
        assert module.paths(asked(module)) == {"a.lr"}
    for text in (f"def lr(x): return 1\n{shadow}ask(lr(2))\n", f"{shadow}def lr(x): return 1\nask(lr(2))\n"):
        source, module = model(text)
        call = asked(module)
        assert isinstance(call, ast.Call)
        function = module.function(call)
        assert function in source.tree.body
        assert function is not None
        assert module.callers(function) == (call,)


def test_global_code_elsewhere_does_change_it() -> None:
    assert held("lr = 1\ndef f():\n  global lr\n  lr = 2\nask(lr)") == (["1", "2"], None)


def test_a_global_tensor_is_what_a_name_is_although_a_function_has_its_own() -> None:
    text = "import tensorflow as tf\nlr = tf.Variable(0.1)\ndef f():\n  lr = 0.5\n  return lr\nask(lr)\n"
    _source, module = model(text)
    (value,) = module.reaching(asked(module)).values
    assert isinstance(value, ast.Call)
    assert module.paths(value.func) == {"tensorflow.Variable"}


def test_methods_of_other_classes_are_other_functions() -> None:
    text = "class A:\n  def get_lr(self): return 1\ndef get_lr(): return 2\nask(get_lr())\n"
    assert held(text) == (["2"], None)
    text = "class A:\n  def set(self, o):\n    ask(o)\n  def g(self):\n    self.set(1)\nclass B:\n  def set(self, o): pass\nB().set(2)\n"
    assert held(text) == (["1"], None)
    text = "class A:\n  def f(self):\n    self.lr = 1\n    ask(self.lr)\nclass B:\n  def f(self):\n    self.lr = 2\n"
    assert held(text) == (["1"], None)
    text = "class P: pass\nclass A(P):\n  def f(self):\n    self.lr = 1\n    ask(self.lr)\nclass B(P):\n  def f(self):\n    self.lr = 2\n"
    assert held(text) == (["1"], None)
    text = "class A:\n  def f(self):\n    self.lr = 1\n    ask(self.lr)\nclass B(A):\n  def f(self):\n    self.lr = 2\n"
    assert held(text) == (["1", "2"], None)
    text = "class A:\n  def lr(self): return 1\n  def f(self):\n    ask(self.lr())\nclass B(A):\n  def lr(self): return 2\n"
    assert held(text) == (["self.lr()"], None)


# Variables


def variable(text: str) -> Variable | None:
    _source, module = model(text)
    return module.variable(asked(module))


def shown(found: Variable | None) -> list[tuple[str, str | None, int | None]]:
    assert found is not None
    return [(item.how.name, ast.unparse(item.value) if item.value else None, item.element) for item in found.bindings]


def test_every_binding_is_told_with_how_it_binds() -> None:
    text = (
        "import x.y as a, a.b\na = [1]\na: int = 2\na: int\na += 3\nb, a = f()\nfor a in g(): pass\nfor b, a in h(): pass\n"
        "with i() as a: pass\n(b, (c, a)) = j\n(a := 4)\ntry: pass\nexcept E as a: pass\ndef a(): pass\nask(a)\ndel a\n"
    )
    assert shown(variable(text)) == [
        ("IMPORT", None, None),
        ("IMPORT", None, None),
        ("ASSIGNED", "[1]", None),
        ("ASSIGNED", "2", None),
        ("AUGMENTED", "3", None),
        ("UNPACKED", "f()", 1),
        ("LOOP", "g()", None),
        ("LOOP", "h()", 1),
        ("WITH", "i()", None),
        ("HIDDEN", "j", None),
        ("ASSIGNED", "4", None),
        ("HIDDEN", None, None),
        ("DEFINITION", None, None),
    ]
    found = variable(text)
    assert found is not None
    assert [item.path for item in found.bindings[:2]] == ["x.y", "a"]
    assert [use.lineno for use in found.uses] == [15]


def test_variables_are_one_object_each() -> None:
    source, module = model("a = 1\ndef f(a):\n  a\n  return [a for a in a]\nclass C:\n  a = 2\n  b = a\na\n")
    assert len({module.variable(node) for node in module.names("a")}) == 4
    scopes = {type(found.scope).__name__ for node in module.names("a") if (found := module.variable(node))}
    assert scopes == {"Module", "FunctionDef", "ListComp", "ClassDef"}
    function = source.tree.body[1]
    assert isinstance(function, ast.FunctionDef)
    assert module.variable(function.args.args[0]) is module.bound("a", at=function.body[0])
    assert module.variable(function) is module.bound("f", at=source.tree.body[-1])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\nuse(a)\na = 2\nuse(a)\nuse(a)", [[2], [4, 5]]),
        ("a = 1\nif x:\n  a = 2\nuse(a)", [[4], [4]]),
        ("a = 1\nuse(a)\ndef f():\n  use(a)\na = 2\nuse(a)", [[2, 4], [4, 6]]),
        ("a = 1\na += 2\nuse(a)\n[use(a) for x in y]", [[], [3, 4]]),
        ("for a in x:\n  use(a)\nfor a in y:\n  use(a)\nuse(a)", [[2, 5], [4, 5]]),
        ("a = 1\ndef f():\n  a = 2\n  use(a)\n[a for a in x]\nclass C:\n  a = 3", [[]]),
    ],
)
def test_the_uses_of_a_binding(text: str, lines: list[list[int]]) -> None:
    _source, module = model(text)
    found = module.bound("a", at=module.tree)
    assert found is not None
    assert [sorted(use.lineno for use in module.uses_of(found, item)) for item in found.bindings] == lines


def test_attributes_belong_to_the_classes_whose_methods_share_them() -> None:
    body = "class A:\n  def f(self):\n    self.a = [1]\n    ask(self.a)\n"
    assert shown(variable(body)) == [("ASSIGNED", "[1]", None)]
    assert shown(variable(f"other.a = 3\n{body}"))[0] == ("OUTSIDE", "3", None)
    found = variable(f"{body}print(other.a)\nclass B:\n  def f(self):\n    self.a\n")
    assert found is not None
    assert [use.lineno for use in found.uses] == [4, 5]
    assert variable("class A:\n  def f(self):\n    ask(self.a)\n") is None
    assert variable("def f(self):\n  self.a = 1\n  ask(self.a)\n") is None
    assert variable("class A:\n  def f(self):\n    self = x\n    self.a = 1\n    ask(self.a)\n") is None
    assert variable("class A:\n  @staticmethod\n  def f(self):\n    self.a = 1\n    ask(self.a)\n") is None
    inner = "class A:\n  def f(self):\n    self.a = 1\n    def g():\n      return [ask(self.a) for _ in x]\n"
    assert shown(variable(inner)) == [("ASSIGNED", "1", None)]


def test_names_as_seen_from_a_place() -> None:
    source, module = model(
        "import a\nprint = 1\ndef f(b):\n  c = 1\n  return c\nclass D:\n  e = 1\n  def g(self): pass\n"
    )
    body = source.tree.body
    inside = body[2].body[0]  # type: ignore[attr-defined]
    assert module.bound("c", at=inside) is not None
    assert module.bound("c", at=body[0]) is None
    assert module.bound("b", at=inside) is not module.bound("b", at=body[0])
    assert module.bound("e", at=body[3].body[1].body[0]) is None  # type: ignore[attr-defined]
    assert module.is_builtin("len", at=inside)
    assert not module.is_builtin("print", at=inside)
    assert not module.is_builtin("nothing", at=inside)


# Functions


def test_functions_that_a_call_surely_runs() -> None:
    for text in (
        "def f(): return 1\nf()\n",
        "class A:\n  def f(self): return 1\n  def g(self):\n    self.f()\n",
        "class A:\n  @staticmethod\n  def f(): return 1\n  def g(self):\n    self.f()\n",
        "class A:\n  def f(self): return 1\nclass B(A):\n  def g(self):\n    self.f()\n",
        "class A:\n  def f(self): return 1\na = A()\na.f()\n",
        "class A:\n  def f(self): return 1\nclass B(A): pass\nb = B()\nb.f()\n",
        "def g():\n  def f(): return 1\n  f()\n",
    ):
        _source, module = model(text)
        function = module.function(called(module, "f"))
        assert function is not None, text
        assert [ast.unparse(item) for item in module.returns(function)] == ["1"]


@pytest.mark.parametrize(
    "text",
    [
        "@d\ndef f(): return 1\nf()\n",
        "async def f(): return 1\nf()\n",
        "def f(): return 1\nf = g\nf()\n",
        "f = 1\nf()\n",
        "f()\n",
        "from m import f\nf()\n",
        "f = lambda: 1\nf()\n",
        "class A:\n  def f(self): return 1\nx.f()\n",
        "class A:\n  def f(self): return 1\nclass B:\n  def g(self):\n    self.f()\n",
        "class A:\n  def f(self): return 1\n  def g(self):\n    self.f = 2\n    self.f()\n",
        "class A:\n  @property\n  def f(self): return 1\n  def g(self):\n    self.f()\n",
        "class A:\n  def f(self): return 1\nx.f = 2\nA().f()\n",
        "class A(Unknown):\n  pass\nA().f()\n",
    ],
)
def test_functions_that_a_call_may_not_run(text: str) -> None:
    _source, module = model(text)
    assert module.function(called(module, "f")) is None


def callers(text: str) -> list[int] | None:
    """The lines of the calls of the function `f`."""
    _source, module = model(text)
    (function,) = (node for node in module.nodes(ast.FunctionDef) if node.name == "f")
    found = module.callers(function)
    return None if found is None else [call.lineno for call in found]


def test_callers() -> None:
    assert callers("def f(): pass\n") == []
    assert callers("def f(): pass\nf()\nif f(): g(f())\n") == [2, 3, 3]
    assert callers("def f():\n  return f()\n") == [2]
    assert callers("def f(): pass\ng(f)\n") is None
    assert callers("def f(): pass\n@f\ndef g(): pass\n") is None
    assert callers("def f(): pass\nf = 1\n") is None
    assert callers("@d\ndef f(): pass\nf()\n") is None
    assert callers("def f(): pass\ndef g(f):\n  f()\nf()\n") == [4]
    assert callers("class A:\n  def f(self): pass\n  def g(self):\n    self.f()\n") == [4]
    assert callers("class A:\n  def f(self): pass\n  def g(self):\n    return self.f\n") is None
    assert callers("class A:\n  def f(self): pass\nf()\nA().f()\n") == [4]
    assert callers("class A:\n  def f(self): pass\nx.f()\n") is None
    assert callers("class A:\n  def f(self): pass\nclass B: pass\nB().f()\n") == []
    assert callers("class A(Unknown):\n  def f(self): pass\n  def g(self):\n    self.f()\n") is None
    assert callers("class A:\n  def f(self): pass\nclass B(A):\n  def g(self):\n    self.f()\n") == [5]


def test_what_functions_yield() -> None:
    source, module = model(
        "def f():\n  yield 1\n  yield from a\n  lambda: (yield 3)\n  def g():\n    yield 2\nh = lambda: 4\n"
    )
    function = source.tree.body[0]
    assert [ast.unparse(item) for item in module.yields(function)] == ["1"]
    assert [ast.unparse(item) for item in module.runs(function)] == ["a"]
    assert module.returns(function) == ()
    assert [ast.unparse(item) for item in module.returns(module.nodes(ast.Lambda)[-1])] == ["4"]


@pytest.mark.parametrize(
    ("text", "holder"),
    [
        ("x = make()", "x"),
        ("x: T = make()", "x"),
        ("(x := make())", "x"),
        ("x, y = make(), 1", "x"),
        ("[y, x] = [1, make()]", "x"),
        ("class A:\n  def f(this):\n    this.x = make()", "self.x"),
        ("x = y = make()", None),
        ("x, y = make()", None),
        ("*x, y = make(), 1", None),
        ("x += make()", None),
        ("x = [make()]", None),
        ("x.y = make()", None),
        ("make()", None),
        ("x = f(make())", None),
    ],
)
def test_holders(text: str, holder: str | None) -> None:
    _source, module = model(text)
    found = module.holder(called(module, "make"))
    assert (found.text if found is not None else None) == holder


def test_classes() -> None:
    text = "class A:\n  def f(self): pass\nclass B(A): pass\nclass C(B, X):\n  def g(self):\n    self.y\nC()\nB()\n"
    _source, module = model(text)
    a, b, c = module.nodes(ast.ClassDef)
    assert module.method(b, "f") is a.body[0]
    assert module.method(c, "f") is None or module.bases(c).unknown
    assert (module.bases(c).known, module.bases(b).unknown) == ((b,), False)
    assert module.subclasses(a) == [a, b, c]
    assert module.class_of(module.attributes("y")[0]) is c
    assert module.instance(module.attributes("y")[0].value) is c
    assert [module.instance(call) for call in module.nodes(ast.Call)] == [c, b]
    assert module.definition(module.nodes(ast.Call)[0].func) is c


# What stands around


def test_surroundings() -> None:
    text = "def f():\n  for x in y:\n    with z:\n      a = b + c\n      d()\n  else:\n    e\n"
    source, module = model(text)
    (name,) = module.names("b")
    function = source.tree.body[0]
    around = [type(node).__name__ for node in module.ancestors(name)]
    assert around == ["BinOp", "Assign", "With", "For", "FunctionDef", "Module"]
    assert module.parent(source.tree) is None
    statement = module.statement(name)
    assert isinstance(statement, ast.Assign)
    assert module.statement(statement) is statement
    block, place = module.block(statement)
    assert (place, len(block)) == (0, 2)
    assert module.enclosing(name, ast.For, ast.While) is module.nodes(ast.For)[0]
    assert module.enclosing(name, ast.BinOp) is module.parent(name)
    assert module.enclosing(function, ast.FunctionDef) is None
    assert module.enclosing(statement, ast.Assign) is None
    assert module.enclosing(name, ast.Assign) is statement
    assert module.scope(name) is function
    assert module.scope(function) is source.tree
    assert module.function_of(name) is function
    with pytest.raises(ValueError, match="no statement"):
        module.statement(source.tree)


def test_nodes_are_in_the_order_of_the_text() -> None:
    text = "f(a, *b, c=d)\n@e\ndef g(h=i): j\nk if l else {m: n}\n"
    _source, module = model(text)
    assert [node.id for node in module.nodes(ast.Name)] == list("fabdeijklmn")
    kinds = [type(node).__name__ for node in module.nodes(ast.Call, ast.Expr)]
    assert kinds == ["Expr", "Call", "Expr", "Expr"]


@pytest.mark.parametrize(
    ("name", "other", "lines"),
    [("A", "self._A__x = 3", [3, 4]), ("A__B", "self._A__B__x = 3", [3, 4]), ("A", "self._B__x = 3", [3])],
)
def test_private_attributes_are_those_of_their_class(name: str, other: str, lines: list[int]) -> None:
    _source, module = model(
        f"class {name}:\n  def f(self, v):\n    self.__x = v\n    {other}\n  def g(self):\n    return self.__x\n"
        "class C:\n  def f(self):\n    self.__x = 4\n"
    )
    variable = module.attribute_of(module.nodes(ast.ClassDef)[0], "__x")
    assert variable is not None
    assert [getattr(item.target, "lineno", 0) for item in variable.bindings] == lines
    assert [use.lineno for use in variable.uses] == [6]


# Cost


def test_a_source_has_one_model() -> None:
    source, module = model("a = 1\n")
    assert Module.of(source) is module
    assert module.source is source
    assert module.names("a") == module.names("a")


def test_a_model_goes_with_its_source() -> None:
    """Without cycles: the command line runs without the collector of cycles."""
    gc.collect()
    gc.disable()
    try:
        source, module = model("class A:\n  def f(self, x):\n    self.x = x\n    ask(self.x)\nA().f(1)\n")
        assert module.references(["torch"]).references == ()
        assert module.reaching(asked(module)).complete
        old_module, old_source, old_tree = ref(module), ref(source), ref(source.tree)
        del source, module
        assert (old_module(), old_source(), old_tree()) == (None, None, None)
    finally:
        gc.enable()


def test_long_and_deep_files_are_answered() -> None:
    names = "\n".join(f"a{i + 1} = a{i}" for i in range(3000))
    values, unknown = held(f"a0 = 1\n{names}\nask(a1500)\n")
    assert (values, unknown) == (["1"], None)
    _source, module = model(f"a0 = 1\n{names}\nask(a3000)\n")
    assert module.reaching(asked(module)).unknown is not None
    tree = ast.parse("x = 1")
    node: ast.expr = ast.Name("x", ast.Load(), lineno=1, col_offset=0)
    for _ in range(10_000):
        node = ast.BinOp(node, ast.Add(), ast.Name("x", ast.Load(), lineno=1, col_offset=0), lineno=1, col_offset=0)
    tree.body.append(ast.Expr(node, lineno=1, col_offset=0))
    source = Source(b"x = 1", "utf-8", b"", tree)
    module = Module.of(source)
    found = {module.variable(item) for item in module.names("x")}
    assert len(found) == 1
    assert all(module.statement(item) in tree.body for item in module.names("x"))
    assert all(module.enclosing(item, ast.FunctionDef) is None for item in module.names("x"))


@pytest.mark.parametrize(
    "line",
    [
        "x{i} = f(y)",
        "y = x{i} = f(y)",
        "def f{i}(a):\n  lr = a\n  g(lr)\nf{i}(1)",
        "class A{i}:\n  def f(self):\n    self.lr = 1\n    g(self.lr)",
        "o{i} = C()\no{i}.step(1)",
        "o = C()\no.step(1)",
        "p += [a{i}]\nf(p)",
        "p = [a{i}]\nf(p)",
        "if a{i}: y = {i}\nf(y)",
        "for y in z:\n  if y: y = {i}\n  f(y)",
        "def f{i}():\n  global y\n  y = {i}\n  f(y)",
        "def f{i}(a, b=1): return a\nf(f{i}(y))",
        "y.lr = 1\nclass A{i}:\n  def f(self):\n    self.lr = 1\n    g(self.lr)",
    ],
)
def test_answers_take_time_that_grows_with_the_file(line: str) -> None:
    """Four times as many lines take at most ten times as long: four, and room for noise."""

    def cost(count: int) -> float:
        body = "\n".join(line.replace("{i}", str(i)) for i in range(count))
        source = read_source(f"class C:\n  def step(self, x): pass\ny = 1\np = []\n{body}\n".encode())
        gc.disable()  # a collection goes through whatever the tests of this process have imported
        try:
            begin = time.process_time()
            module = Module.of(source)
            for node in (*module.nodes(ast.Name), *module.nodes(ast.Attribute)):
                module.reaching(node)
                module.variable(node)
            for function in module.nodes(ast.FunctionDef):
                module.callers(function)
            return time.process_time() - begin
        finally:
            gc.enable()

    small, large = (min(cost(count) for _ in range(3)) for count in (150, 600))
    assert large < max(10 * small, 0.1), (small, large)


def test_code_is_followed_by_the_functions_that_it_calls() -> None:
    text = "def f():\n    g()\n\ndef g():\n    f()\n\ndef h():\n    pass\n\nf()\ng()\n"
    module = Module.of(read_source(text.encode()))
    f, g, _ = module.nodes(ast.FunctionDef)
    call = module.nodes(ast.Call)[-2]
    assert module.with_called([call, call]) == [call, f, g]
    assert module.with_called([g]) == [g, f]
