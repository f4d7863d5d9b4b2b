"""The semantic model of a file: the one place that answers what a name holds, who calls what, and what stands around.

How to ask
----------
    module = Module.of(source)          # cheap; built at the first question, once for a Source, never again

Everything is asked by node; answers are kept. Scopes are Python's own: an inner function, class, comprehension, lambda,
`global` or `nonlocal` never mixes up two variables of one spelling.

What does it hold?
    module.reaching(node)               # the expressions that a place may hold, or the place that hides a value
    module.paths(node)                  # {"torch.optim.SGD"}: import paths; None in it: may be something else; empty: not bound
    module.variable(node)               # the variable behind `x`, `self.x`, `C.x`: its bindings and every place that reads it
    module.bound("x", at=node)          # the variable of that name as seen from a place
    module.in_force(variable, at=node)  # its bindings that may matter at a place, by the order of statements
    module.uses_of(variable, binding)   # the places where a binding is in force
    module.holder(call)                 # the variable that `x = f()` binds
Who calls it, with what?
    module.function(call), module.callers(function), module.returns(function), module.yields(function)
    module.with_called(nodes)           # some code, and the functions that it calls
    module.class_of(node), module.method(owner, "step"), module.definition(node), module.instance(node)
    module.arguments(call, function)    # what each parameter gets; of other signatures: optmap.source.bind
What stands around it?
    module.parent(node), module.ancestors(node), module.enclosing(node, ast.For), module.statement(node),
    module.block(statement), module.scope(node), module.call_of(callee), module.call_with(argument)
Where is it?
    module.nodes(ast.Call), module.names("x"), module.attributes("step"), module.references(["torch.optim"])

An answer that cannot be proved says so: `Reaching.complete`, `callers(...) is None`, None in `paths`. `reaching` looks at
the order of statements where that is known; a function's body runs at any time. That a function or class is imported and
used by another file is not considered, except that a parameter of a function without calls is unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar, overload
from weakref import ref

from optmap.source.bind import Bound, Unbound
from optmap.source.bindings import Binding, How, Symbols, Variable, climb, position
from optmap.source.classes import Bases, Classes
from optmap.source.functions import Passed
from optmap.source.order import Order
from optmap.source.paths import Mentions, Reference, mentions, paths
from optmap.source.reaching import Reach, Reaching, is_builtin
from optmap.source.symbols import Index
from optmap.source.syntax import Function, imported_name, inner
from optmap.source.text import Source

Node = TypeVar("Node", bound=ast.AST)
_STATEMENTS = (ast.stmt, ast.Module)
_BEGINNING, _END = attrgetter("lineno", "col_offset"), attrgetter("end_lineno", "end_col_offset")

__all__ = [
    "Bases", "Binding", "How", "Mentions", "Module", "Passed", "Reaching", "Reference", "Variable",
]  # fmt: skip


class Module:
    """The model of one file. Nothing that it returns may be changed.

    The source keeps its model, and the model does not keep the source: they go together, without a cycle.
    """

    def __init__(self, source: Source) -> None:
        self._source = ref(source)
        self.tree = source.tree
        self._mentions: dict[tuple[frozenset[str], frozenset[str], str], Mentions] = {}
        self._sorted: dict[tuple[object, ...], tuple[Any, ...]] = {}
        self._paths: dict[tuple[int, int], frozenset[str | None]] = {}

    @property
    def source(self) -> Source:
        """The source, which whoever asks for the model must keep."""
        found = self._source()
        if found is None:
            raise ReferenceError("the source of the model is gone")
        return found

    @classmethod
    def of(cls, source: Source) -> Module:
        """The model of a source; one for each."""
        found = source.memo.get(cls)
        if found is None:
            found = source.memo[cls] = cls(source)
        assert isinstance(found, cls)
        return found

    @cached_property
    def _index(self) -> Index:
        return Index(self.tree)

    @cached_property
    def _symbols(self) -> Symbols:
        return Symbols(self._index)

    @cached_property
    def _order(self) -> Order:
        return Order(self._symbols)

    @cached_property
    def _classes(self) -> Classes:
        return Classes(self._symbols)

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self._symbols, self._order, self._classes)

    @cached_property
    def annotations(self) -> frozenset[int]:
        """The ids of the nodes of all annotations, which compute nothing."""
        typed: list[ast.expr | None] = [node.annotation for node in self.nodes(ast.AnnAssign, ast.arg)]
        typed += [node.returns for node in self.nodes(ast.FunctionDef, ast.AsyncFunctionDef)]
        return frozenset(id(item) for root in typed if root is not None for item in inner(root))

    # What stands around a node

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node directly around a node; None for the module."""
        return self._index.parents.get(id(node))

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, innermost first; the last is the module."""
        return climb(self._index, node)

    @overload
    def enclosing(self, node: ast.AST, kind: type[Node], /) -> Node | None: ...
    @overload
    def enclosing(self, node: ast.AST, /, *kinds: type[ast.AST]) -> ast.AST | None: ...
    def enclosing(self, node: ast.AST, /, *kinds: type[ast.AST]) -> ast.AST | None:
        """The innermost node of one of the kinds around a node, never the node itself."""
        if all(issubclass(kind, _STATEMENTS) for kind in kinds):  # expressions may be deep
            statement = self._order.statement(node)
            if statement is not None and statement is not node and isinstance(statement, kinds):
                return statement
            node = statement if statement is not None else node
        return next((item for item in climb(self._index, node) if isinstance(item, kinds)), None)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that a node belongs to, itself if it is one."""
        found = self._order.statement(node)
        if found is None:
            raise ValueError("a module stands in no statement")
        return found

    def block(self, statement: ast.stmt) -> tuple[Sequence[ast.stmt], int]:
        """The statements of the block that one stands in, and its place among them."""
        return self._order.block(statement)

    def function_of(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function whose body a node stands in, through lambdas and comprehensions, but not classes."""
        scope = self._symbols.scope(node)
        places = (item.node for item in scope.enclosing())
        found = next((item for item in places if isinstance(item, (Function, ast.ClassDef))), None)
        return found if isinstance(found, Function) else None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class that a node stands in, in a method or directly."""
        return self.enclosing(node, ast.ClassDef)

    def scope(self, node: ast.AST) -> ast.AST:
        """The Module, function, lambda, comprehension or class in whose scope a node is evaluated.

        Decorators, defaults, bases and the first iterable of a comprehension are evaluated around it; a definition stands
        in the scope that it binds its name in, a parameter in that of its function.
        """
        return self._symbols.scope(node).node

    def call_of(self, callee: ast.AST) -> ast.Call | None:
        """The call of just this: `x.step()` around `x.step`."""
        parent = self.parent(callee)
        return parent if isinstance(parent, ast.Call) and parent.func is callee else None

    def call_with(self, argument: ast.AST) -> ast.Call | None:
        """The call that has an expression as one of its arguments, by position or keyword."""
        parent = self.parent(argument)
        call = self.parent(parent) if isinstance(parent, ast.keyword) else parent
        return call if isinstance(call, ast.Call) and call.func is not argument else None

    # Where things are

    @overload
    def nodes(self, kind: type[Node], /) -> tuple[Node, ...]: ...
    @overload
    def nodes(self, /, *kinds: type[ast.AST]) -> tuple[Any, ...]: ...
    def nodes(self, /, *kinds: type[ast.AST]) -> tuple[Any, ...]:
        """Every node of the given classes (not of classes derived from them), in the order of the text, outer ones first.

        Contexts and operators are left out: Python uses one of them in many places.
        """
        found = self._sorted.get(kinds)
        if found is None:
            first = sorted(kinds, key=_is_expression) if len(kinds) > 1 else kinds
            every = [node for kind in first for node in self._index.kinds.get(kind, ())]
            found = self._sorted[kinds] = tuple(_sorted(every))
        return found

    def names(self, name: str) -> tuple[ast.Name, ...]:
        """Every Name of that spelling, whatever variable it stands for; assigned and deleted ones as well."""
        return self._in_order((ast.Name, name), self._index.names)

    def spellings(self) -> Collection[str]:
        """What every Name of the file is spelled like, in no order."""
        return self._index.names.keys()

    def attributes(self, name: str) -> tuple[ast.Attribute, ...]:
        """Every attribute of that name, of whatever object."""
        return self._in_order((ast.Attribute, name), self._index.attributes)

    def _in_order(self, key: tuple[type[ast.AST], str], groups: Mapping[str, Sequence[Node]]) -> tuple[Node, ...]:
        """The nodes of a spelling; what nobody asks for is never sorted."""
        found = self._sorted.get(key)
        if found is None:
            found = self._sorted[key] = tuple(_sorted(groups.get(key[1], ())))
        return found

    def references(self, prefixes: Collection[str], *, unbound: Collection[str] = (), hint: str = "") -> Mentions:
        """Every name or chain that may stand for a path below the prefixes, before order and scopes are looked at.

        `unbound` are names that are reported whatever binds them. With a `hint`, strings that hold it and a dot are found.
        """
        key = (frozenset(prefixes), frozenset(unbound), hint)
        if key not in self._mentions:
            self._mentions[key] = mentions(self._index, *key)
        return self._mentions[key]

    def stars(self, at: ast.AST | None = None) -> tuple[str, ...]:
        """The modules of `from m import *` whose names may be seen from a place, or of the whole file."""
        scopes = self._symbols.scope(at).enclosing() if at is not None else self._index.scopes
        found = sorted((node for scope in scopes for node in scope.stars), key=position)
        return tuple(_base(node) for node in found)

    # What names hold

    def variable(self, node: ast.AST) -> Variable | None:
        """The variable of a Name, of `self.x` (whatever a method calls its first parameter) or `C.x`; None if unbound.

        It may also be asked of what binds a name: a parameter, function, class, `ast.alias`, except clause or pattern.
        """
        return self._reach.variable(node)

    def bound(self, name: str, at: ast.AST) -> Variable | None:
        """The variable that a name would stand for if it were read at a place; None where the file does not bind it."""
        return self._symbols.bound(name, at)

    def attribute_of(self, owner: ast.ClassDef, name: str) -> Variable | None:
        """The attribute that a class, or methods of it and its relatives in the file, give its objects."""
        return self._classes.of_class(owner, name)

    def builtin(self, node: ast.AST) -> str:
        """The name of the builtin of Python that a node stands for; empty for anything else."""
        return node.id if isinstance(node, ast.Name) and self.is_builtin(node.id, node) else ""

    def is_builtin(self, name: str, at: ast.AST) -> bool:
        """Tell whether a name means Python's builtin where it is read at a place."""
        return is_builtin(name) and self.bound(name, at) is None

    def in_force(self, variable: Variable, at: ast.AST) -> Sequence[Binding]:
        """The bindings that may have given a variable the value it has at a place.

        The last one before the place that is sure to run, and what may run behind it. In a function that reads a global, which
        runs at any time from its definition on, those in force there and all later ones. Empty only where the variable has none.
        """
        return self._order.in_force(variable, at)

    def uses_of(self, variable: Variable, binding: Binding) -> Sequence[ast.expr]:
        """The places that may read what a binding gave the variable: those where it is in force."""
        return self._order.uses(variable, binding)

    def reaching(self, node: ast.expr, at: ast.AST | None = None, *, calls: bool = True) -> Reaching:
        """The expressions that an expression may hold, or a name if it were read at another place.

        It looks through names, attributes of self, conditions, `:=`, `and`/`or`, unpacked displays, loops over displays,
        returns of the file's functions, and parameters whose callers are all known. Other expressions are values. So are
        names of functions, classes, builtins and imports; what an import gives is unknown as well. Without `calls` a call is
        a value, whatever it runs.
        """
        return self._reach.reaching(node, at, calls)

    def paths(self, node: ast.expr, at: ast.AST | None = None) -> frozenset[str | None]:
        """Every dotted import path that a name or a chain of attributes may stand for, where it stands or at a place.

        None stands for something that is no import; the set is empty where nothing binds the name, or only None. Relative
        paths begin with dots. Anything but a name or a chain has no paths.
        """
        key = (id(node), id(at))
        found = self._paths.get(key)
        if found is None:
            found = paths(self._symbols, self._order, node, at)
            if id(node) in self._index.parents and (at is None or id(at) in self._index.parents):  # none that was made
                self._paths[key] = found
        return found

    def path(self, node: ast.expr) -> str | None:
        """The import path that a name or a chain of attributes stands for, where it can be nothing else."""
        found = self.paths(node)
        return next(iter(found)) if len(found) == 1 else None

    def holder(self, call: ast.expr) -> Variable | None:
        """The variable that holds just what a call gives: `x = f()`, `self.x: T = f()`, `(x := f())`, `x, y = f(), g()`."""
        target: ast.AST | None = None
        parent = self.parent(call)
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
            target = parent.targets[0]
        elif isinstance(parent, (ast.AnnAssign, ast.NamedExpr)) and parent.value is call:
            target = parent.target
        elif isinstance(parent, (ast.Tuple, ast.List)):
            target = self._opposite(parent, call)
        return self.variable(target) if isinstance(target, (ast.Name, ast.Attribute)) else None

    def _opposite(self, display: ast.Tuple | ast.List, item: ast.expr) -> ast.expr | None:
        """The target that an item of a display is assigned to."""
        outer = self.parent(display)
        target = outer.targets[0] if isinstance(outer, ast.Assign) and len(outer.targets) == 1 else None
        if not isinstance(target, (ast.Tuple, ast.List)) or len(target.elts) != len(display.elts):
            return None
        if any(isinstance(each, ast.Starred) for each in (*target.elts, *display.elts)):
            return None
        return next(one for one, other in zip(target.elts, display.elts, strict=True) if other is item)

    # Functions and classes

    def function(self, call: ast.Call) -> ast.FunctionDef | None:
        """The function of the file that a call runs: the only binding of its name, undecorated (static and class methods
        may be), not async. A method through `self`, the class, or an object that is surely of the class."""
        return self._reach.functions.function(call)

    def arguments(self, call: ast.Call, function: ast.FunctionDef) -> Bound | Unbound:
        """What each parameter of a function of the file gets from a call that runs it; a method's first from Python."""
        return self._reach.functions.arguments(call, function)

    def callers(self, function: ast.AST, through: Collection[str] = ()) -> tuple[ast.Call, ...] | None:
        """Every call of a function, of `__init__` every construction; None where it may be called in other ways as well.

        It may where it is decorated, async, bound again, or mentioned without being called; a method also where the class
        has bases that are not seen, or where an object that is asked for an attribute of that name may be of the class.
        With `through`, paths of decorators that hand each call on as it is, a function by that name may have these, and be
        bound again later.
        """
        found = self._reach.functions.callers(function)
        return found if found is not None or not through else self._named_calls(function, frozenset(through))

    def _named_calls(self, function: ast.AST, through: frozenset[str]) -> tuple[ast.Call, ...] | None:
        decorators: Sequence[ast.expr] = getattr(function, "decorator_list", ())
        named = (self.paths(item.func if isinstance(item, ast.Call) else item) for item in decorators)
        variable = self.variable(function) if isinstance(function, ast.FunctionDef) else None
        if variable is None or isinstance(variable.scope, ast.ClassDef) or not all(p and p <= through for p in named):
            return None
        own = next(item for item in variable.bindings if item.target is function)
        found: list[ast.Call] = []
        for use in self.uses_of(variable, own):
            call = self.parent(use)
            if not isinstance(call, ast.Call) or call.func is not use or list(self.in_force(variable, use)) != [own]:
                return None
            found.append(call)
        return tuple(found) or None

    def passed(self, parameter: ast.arg) -> Passed:
        """What the calls of a function pass for a parameter, as far as they are seen."""
        return self._reach.functions.passed(parameter)

    def with_called(self, roots: Iterable[ast.AST]) -> list[ast.AST]:
        """Some code, and behind it the functions of the file that it calls, each once."""
        found = list({id(root): root for root in roots}.values())
        known = set(map(id, found))
        for root in found:  # grows while it is walked
            for node in inner(root):
                function = self.function(node) if isinstance(node, ast.Call) else None
                if function is not None and id(function) not in known:
                    known.add(id(function))
                    found.append(function)
        return found

    def returns(self, function: ast.AST) -> tuple[ast.expr, ...]:
        """What a function's `return` statements give, in the order of the text; of a lambda its body."""
        return (function.body,) if isinstance(function, ast.Lambda) else self._reach.functions.results(function)[0]

    def yields(self, function: ast.AST) -> tuple[ast.expr, ...]:
        """What a function yields one by one; see `runs` for what it yields from."""
        return self._reach.functions.results(function)[1]

    def runs(self, function: ast.AST) -> tuple[ast.expr, ...]:
        """What a function yields from."""
        return self._reach.functions.results(function)[2]

    def definition(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
        """The function or class that a name or `self.x` stands for, if nothing else binds it; decorators are not looked at."""
        variable = self.variable(node)
        target = variable.bindings[0].target if variable is not None and len(variable.bindings) == 1 else None
        return target if isinstance(target, (Function, ast.ClassDef)) else None

    def instance(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the file that an expression is surely an object of; of `self` the class around the method."""
        return self._symbols.self_class(node) or self._reach.instance(node)

    def self_class(self, node: ast.AST) -> ast.ClassDef | None:
        """The class of the method whose first parameter a name is: `self`, or `cls`."""
        return self._symbols.self_class(node)

    def method(self, owner: ast.ClassDef, name: str) -> ast.FunctionDef | None:
        """The method of a class or of its bases in the file; None where another base may define it first."""
        return self._classes.method(owner, name)

    def bases(self, owner: ast.ClassDef) -> Bases:
        """The classes of the file that a class derives from directly, and whether there are others."""
        return self._classes.bases(owner)

    def subclasses(self, owner: ast.ClassDef) -> Sequence[ast.ClassDef]:
        """The class and the classes of the file that derive from it, however far."""
        return self._classes.subclasses(owner)


def _is_expression(kind: type[ast.AST]) -> bool:
    return not issubclass(kind, ast.stmt)


def _sorted(nodes: Sequence[Any]) -> list[Any]:
    """Sort by beginning; of nodes that begin together the longest first, else as they are given."""
    try:
        return sorted(sorted(nodes, key=_END, reverse=True), key=_BEGINNING)
    except (AttributeError, TypeError):  # some kinds have no places, and made nodes no ends
        return sorted(nodes, key=_extent)


def _extent(node: Any) -> tuple[int, int, int, int]:
    try:
        return node.lineno, node.col_offset, -node.end_lineno, -node.end_col_offset
    except (AttributeError, TypeError):
        return *position(node), 0, 0


def _base(node: ast.ImportFrom) -> str:
    path = imported_name(node, node.names[0])[1]
    return path[:-2] if path[:-2].strip(".") else path[:-1]
