"""What the session of a TensorFlow 1 graph runs: initializers, the training operation, and nodes whose values are wanted."""

from __future__ import annotations

import ast
import re
from typing import Final

from optmap.source.syntax import chain_of, inner
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.steps.read.graph import GraphPlan, Graphs, Node
from optmap.translate.steps.reasons import NotPlain, Why

_SETUP: Final = ("disable_eager_execution", "disable_v2_behavior")
_INITIALIZER: Final = "global_variables_initializer"


class Session:
    """Reads the one session that runs a graph. `train` is the training operation.

    `gone` are statements that disappear, `updates` those that run the operation, with the variable that takes the loss, if
    any, `values` the calls that evaluate a node.
    """

    def __init__(self, graph: Graphs, train: str, loss: Node) -> None:
        self.graph = graph
        self.train = train
        self.loss = loss
        self.block, self.name = self._find()
        self.gone: list[ast.stmt] = []
        self.initializers: set[str] = set()
        self.updates: list[tuple[ast.stmt, str | None]] = []
        self.values: list[tuple[ast.Call, Node]] = []

    def _find(self) -> tuple[ast.With, str]:
        found = [
            item for item in self.graph.module.tree.body
            if isinstance(item, ast.With) and self.graph.path(item.items[0].context_expr) == "Session"
        ]  # fmt: skip
        name = found[0].items[0].optional_vars if found else None
        if len(found) != 1 or len(found[0].items) != 1 or not isinstance(name, ast.Name):
            raise NotPlain(Why.NO_SESSION)
        made = found[0].items[0].context_expr
        assert isinstance(made, ast.Call)
        if made.args or made.keywords:
            raise NotPlain(Why.SESSION_ARGUMENTS)
        self.graph.known.add(id(made.func))
        return found[0], self.graph.once(name)

    def read(self) -> None:
        """Raises NotPlain."""
        self._setup()
        for item in inner(self.block):
            if isinstance(item, ast.Constant | ast.JoinedStr) and item.end_lineno != item.lineno:
                raise NotPlain(Why.LONG_STRING, line=item.lineno)
            if isinstance(item, ast.Expr | ast.Assign) and isinstance(item.value, ast.Call):
                self._statement(item, item.value)
            if isinstance(item, ast.Call) and id(item.func) not in self.graph.used:
                self._evaluation(item)
        if not self.updates:
            raise NotPlain(Why.NEVER_RUN, name=self.train)
        for name in (
            self.name,
            self.train,
            *self.initializers,
            *(n for n, node in self.graph.nodes.items() if node.function),
        ):
            variable = self.graph.module.bound(name, at=self.graph.module.tree)
            for use in variable.uses if variable is not None else ():
                if id(use) not in self.graph.used:
                    raise NotPlain(Why.NODE_USED, name=name, line=use.lineno)

    def _setup(self) -> None:
        """Statements that only set TensorFlow 1 up, or name what initializes variables."""
        for item in self.graph.module.tree.body:
            call = item.value if isinstance(item, ast.Expr | ast.Assign) else None
            path = self.graph.path(call) if call is not None else ""
            target = item.targets[0] if isinstance(item, ast.Assign) and len(item.targets) == 1 else None
            named = isinstance(target, ast.Name) and path == _INITIALIZER
            if isinstance(call, ast.Call) and (named or (isinstance(item, ast.Expr) and path in _SETUP)):
                if isinstance(target, ast.Name):
                    self.initializers.add(self.graph.once(target))
                self.graph.known.add(id(call.func))
                self.gone.append(item)

    def _statement(self, item: ast.Expr | ast.Assign, call: ast.Call) -> None:
        """`s.run(init)` and `s.run(train)` as statements, and `_, value = s.run([train, loss])`."""
        if not self._is_run(call) or len(call.args) != 1 or call.keywords:
            return
        if isinstance(item, ast.Expr):
            self._run(item, call, call.args[0])
        elif isinstance(item.targets[0], ast.Tuple) and len(item.targets) == 1:
            self._run_both(item, item.targets[0], call, call.args[0])

    def _is_run(self, call: ast.Call) -> bool:
        function = call.func
        return (
            isinstance(function, ast.Attribute)
            and function.attr == "run"
            and self.graph.named(function.value) == self.name
        )

    def _run(self, item: ast.Expr, call: ast.Call, argument: ast.expr) -> None:
        started = self.graph.path(argument) == _INITIALIZER
        if started or self.graph.named(argument) in self.initializers:
            self._use(call, argument)
            if isinstance(argument, ast.Call):
                self.graph.known.add(id(argument.func))
            self.gone.append(item)
        elif self.graph.named(argument) == self.train:
            self._use(call, argument)
            self.updates.append((item, None))

    def _run_both(self, item: ast.Assign, target: ast.Tuple, call: ast.Call, argument: ast.expr) -> None:
        if not isinstance(argument, ast.List | ast.Tuple):
            return
        names = [self.graph.named(node) or "" for node in argument.elts]
        given = [node.id if isinstance(node, ast.Name) else "" for node in target.elts]
        plain = sorted(names) == sorted((self.train, self.loss.name)) and len(given) == 2
        if plain and given[names.index(self.train)] == "_":
            self._use(call, *argument.elts)
            self.updates.append((item, given[names.index(self.loss.name)]))

    def _evaluation(self, call: ast.Call) -> None:
        """`node.eval()` and `s.run(node)`."""
        function = call.func
        if not isinstance(function, ast.Attribute) or chain_of(function) is None or call.keywords:
            return
        node = self.graph.node(function.value) if function.attr == "eval" and not call.args else None
        argument = call.args[0] if len(call.args) == 1 else None
        if node is not None:
            self._use(call)
        elif self._is_run(call) and argument is not None and (node := self.graph.node(argument)) is not None:
            self._use(call, argument)
        if node is not None:
            self.values.append((call, node))

    def _use(self, call: ast.Call, *nodes: ast.AST) -> None:
        for node in (call.func, *nodes):
            self.graph.used |= {id(inner) for inner in inner(node)}


def read_graph(source: Source, site: CallSite) -> GraphPlan:
    """Read the graph that an optimizer is the end of. Raises NotPlain."""
    if re.search(rb"\bimport\b[^\r\n]*\btorch\b|\bfrom\s+torch\b", source.body):
        raise NotPlain(Why.USES_TORCH)
    graph = Graphs(source)
    statement, target, minimize = _train(graph, site)
    for item in source.tree.body:
        if isinstance(item, ast.Assign) and item is not statement:
            graph.add(item)
    layers = tuple(node for node in graph.nodes.values() if node.function is graph.table.dense)
    loss = graph.loss(minimize)
    if not layers:
        raise NotPlain(Why.NO_LAYER)
    session = Session(graph, target.id, loss)
    session.read()
    graph.check_complete()
    return GraphPlan(
        layers, loss, minimize, statement, target.id, session.block, tuple(session.gone), tuple(session.updates),
        tuple(session.values), graph.paths,
    )  # fmt: skip


def _train(graph: Graphs, site: CallSite) -> tuple[ast.Assign, ast.Name, ast.Call]:
    """`train = X(...).minimize(loss)` at the top of the module. Raises NotPlain."""
    statement = graph.module.statement(site.node)
    plain = isinstance(statement, ast.Assign) and graph.module.parent(statement) is graph.module.tree
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if not plain or not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
        raise NotPlain(Why.NOT_NAMED)
    minimize = statement.value
    function = minimize.func if isinstance(minimize, ast.Call) else None
    if not isinstance(minimize, ast.Call) or not isinstance(function, ast.Attribute) or function.value is not site.node:
        raise NotPlain(Why.NOT_MINIMIZED)
    if function.attr != "minimize" or len(minimize.args) + len(minimize.keywords) != 1:
        raise NotPlain(Why.MORE_THAN_LOSS)
    graph.known.add(id(site.callee))
    graph.once(target)
    return statement, target, minimize
