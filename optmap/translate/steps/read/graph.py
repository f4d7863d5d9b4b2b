"""TensorFlow 1 graphs that are plain: layers, one loss, `minimize`, and a session that runs them.

A layer's node becomes the layer itself, the loss becomes a function, `session.run(train)` one update, and what is evaluated is
computed where it is asked for. Anything else in the graph is raised as NotPlain with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from optmap.mapping.steps import Graph, GraphFunction, load_graph
from optmap.source.names import Interest, collect
from optmap.source.scopes import Names, chain_of
from optmap.source.text import Source
from optmap.translate.discover.holders import everything
from optmap.translate.discover.sites import CallSite
from optmap.translate.steps.read.graph_plan import GraphPlan, Node
from optmap.translate.steps.read.plan import NotPlain

_SETUP = ("disable_eager_execution", "disable_v2_behavior")
_VALUES = ("float16", "float32", "float64", "int32", "int64")


def read_graph(source: Source, site: CallSite) -> GraphPlan:
    """Read the graph that an optimizer is the end of. Raises NotPlain."""
    return _Reader(source, site).read()


def graph_path(path: str) -> str:
    """A TensorFlow path without its beginning, which is `tensorflow` or `tensorflow.compat.v1`."""
    return path.removeprefix("tensorflow.").removeprefix("compat.v1.")


class _Reader:
    def __init__(self, source: Source, site: CallSite) -> None:
        self.source = source
        self.site = site
        self.table: Graph = load_graph()
        self.names: Names = everything(source)
        found = collect(source, Interest(frozenset({"tensorflow"}), ("tensorflow",), string_hint="\0"))
        self.paths: dict[int, str] = {}
        for reference in found.references:
            (path, *others) = found.paths(reference.chain, reference.scope) or (None,)
            if path is not None and path.startswith("tensorflow") and not others:
                self.paths[id(reference.node)] = graph_path(path)
        self.all = [reference.node for reference in found.references]
        self.known: set[int] = set()
        self.used: set[int] = set()
        self.nodes: dict[str, Node] = {}

    def path(self, node: ast.AST) -> str:
        return self.paths.get(id(node.func), "") if isinstance(node, ast.Call) else ""

    def read(self) -> GraphPlan:
        if re.search(rb"\bimport\b[^\r\n]*\btorch\b|\bfrom\s+torch\b", self.source.body):
            raise NotPlain("the file uses torch as well")
        statement, minimize, optimizer = self._train()
        for item in self.source.tree.body:
            if isinstance(item, ast.Assign) and item is not statement:
                self._node(item)
        layers = tuple(node for node in self.nodes.values() if node.function is self.table.dense)
        loss = self._loss(minimize)
        if not layers:
            raise NotPlain("the graph has no layer whose parameters could be trained")
        session = self._session()
        gone = list(self._setup())
        updates, values = self._runs(session, statement, loss, gone)
        self._complete()
        return GraphPlan(
            layers, loss, minimize, statement, optimizer, session, tuple(gone), updates, values, self.paths
        )  # fmt: skip

    def _train(self) -> tuple[ast.Assign, ast.Call, str]:
        """`train = X(...).minimize(loss)` at the top of the module."""
        around = self.site.ancestors
        plain = len(around) == 4 and isinstance(around[0], ast.Assign) and len(around[0].targets) == 1
        statement = around[0]
        if not plain or not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            raise NotPlain("the operation that minimizes the loss is not bound to a name at the top of the module")
        minimize = statement.value
        function = minimize.func if isinstance(minimize, ast.Call) else None
        if (
            not isinstance(minimize, ast.Call)
            or not isinstance(function, ast.Attribute)
            or function.value is not self.site.node
        ):
            raise NotPlain("the optimizer is not used by minimize where it is constructed")
        if function.attr != "minimize" or len(minimize.args) + len(minimize.keywords) != 1:
            raise NotPlain("minimize is given more than the loss")
        self.known.add(id(self.site.callee))
        name = statement.targets[0].id
        self._once(name)
        return statement, minimize, name

    def _once(self, name: str) -> None:
        bindings = self.names.module.bindings.get(name, [])
        others = [scope for scope in self.names.scopes if scope is not self.names.module and name in scope.bindings]
        if len(bindings) != 1 or others:
            raise NotPlain(f"{name} is bound more than once")

    def _node(self, item: ast.Assign) -> None:
        """Take up a statement that adds a node to the graph."""
        call = item.value
        path = self.path(call)
        if (
            not isinstance(call, ast.Call)
            or not path
            or path in ("global_variables_initializer", "initialize_all_variables")
        ):
            return
        target = item.targets[0]
        if len(item.targets) != 1 or not isinstance(target, ast.Name):
            raise NotPlain(f"line {item.lineno} of the graph is not bound to one name")
        function = self.table.dense if path == self.table.dense.path else self.table.losses.get(path)
        if path == "constant":
            self._check_constant(call)
            self.nodes[target.id] = Node(target.id, item, call, {}, None, target.id)
        elif function is None:
            raise NotPlain(f"the graph uses tf.{path} (line {item.lineno})")
        else:
            given = self._given(call, function)
            value = (
                f"{target.id}()"
                if function is not self.table.dense
                else f"{target.id}({self._value(given.get('inputs'))})"
            )
            self.nodes[target.id] = Node(target.id, item, call, given, function, value)
        self._once(target.id)
        self.known.add(id(call.func))

    def _check_constant(self, call: ast.Call) -> None:
        """Only what is surely translated with the graph: a value, a type named by numpy or TensorFlow, a name."""
        words = {word.arg: word.value for word in call.keywords}
        types = [*call.args[1:2], *([words["dtype"]] if "dtype" in words else [])]
        named = all(
            self.paths.get(id(node), "") in _VALUES or ((chain_of(node) or ("",))[0] in ("np", "numpy")
            and node.attr in _VALUES if isinstance(node, ast.Attribute) else False)
            for node in types
        )  # fmt: skip
        if len(call.args) > 2 or set(words) - {"value", "dtype", "name"} or not named or len(types) > 1:
            raise NotPlain(f"tf.constant on line {call.lineno} is given more than a value and a type")

    def _given(self, call: ast.Call, function: GraphFunction) -> dict[str, ast.expr]:
        if len(call.args) > len(function.parameters) or any(isinstance(item, ast.Starred) for item in call.args):
            raise NotPlain(f"the arguments of tf.{function.path} on line {call.lineno} are not written out")
        found = dict(zip(function.parameters, call.args, strict=False))
        for word in call.keywords:
            if word.arg not in function.parameters or word.arg in found:
                raise NotPlain(f"tf.{function.path} on line {call.lineno} has an argument that is not known")
            found[word.arg] = word.value
        return found

    def _value(self, node: ast.expr | None) -> str:
        """How the value of a node that is an input of another is written afterwards."""
        if not isinstance(node, ast.Name) or node.id not in self.nodes:
            shown = ast.unparse(node) if node is not None else "nothing"
            raise NotPlain(f"{shown} is not a node of the graph that is known")
        self.used.add(id(node))
        return self.nodes[node.id].value

    def _loss(self, minimize: ast.Call) -> Node:
        wanted = minimize.args[0] if minimize.args else minimize.keywords[0].value
        node = self.nodes.get(wanted.id) if isinstance(wanted, ast.Name) else None
        if node is None or node.function is None or node.function is self.table.dense:
            raise NotPlain(f"{ast.unparse(wanted)} is not a loss that is known")
        self.used.add(id(wanted))
        labels, predictions = node.function.parameters[:2]
        self._value(node.given.get(labels))
        self._value(node.given.get(predictions))
        return node

    def _session(self) -> ast.With:
        found = [
            item
            for item in self.source.tree.body
            if isinstance(item, ast.With) and self.path(item.items[0].context_expr) == "Session"
        ]
        if len(found) != 1 or len(found[0].items) != 1 or not isinstance(found[0].items[0].optional_vars, ast.Name):
            raise NotPlain("the graph is not run by one `with tf.Session() as name` at the top of the module")
        expression = found[0].items[0].context_expr
        assert isinstance(expression, ast.Call)
        if expression.args or expression.keywords:
            raise NotPlain("the session is given arguments")
        self.known.add(id(expression.func))
        self._once(found[0].items[0].optional_vars.id)
        return found[0]

    def _setup(self) -> Iterator[ast.stmt]:
        """Statements that only set TensorFlow 1 up."""
        for item in self.source.tree.body:
            if isinstance(item, ast.Expr) and self.path(item.value) in _SETUP:
                assert isinstance(item.value, ast.Call)
                self.known.add(id(item.value.func))
                yield item

    def _runs(
        self, session: ast.With, statement: ast.Assign, loss: Node, gone: list[ast.stmt]
    ) -> tuple[tuple[tuple[ast.stmt, str | None], ...], tuple[tuple[ast.Call, Node], ...]]:
        """What the session runs."""
        variable = session.items[0].optional_vars
        assert isinstance(variable, ast.Name)
        train = statement.targets[0]
        assert isinstance(train, ast.Name)
        updates: list[tuple[ast.stmt, str | None]] = []
        values: list[tuple[ast.Call, Node]] = []
        initializers = self._initializers(gone)
        for item in ast.walk(session):
            if isinstance(item, ast.Constant | ast.JoinedStr) and item.end_lineno != item.lineno:
                raise NotPlain(f"a string on line {item.lineno} goes over several lines")
            call = item.value if isinstance(item, ast.Expr | ast.Assign) else None
            if isinstance(item, ast.Expr | ast.Assign) and isinstance(call, ast.Call):
                done = self._run(item, call, variable.id, train.id, loss, initializers)
                if done is not None and done[0] == "gone":
                    gone.append(item)
                elif done is not None:
                    updates.append((item, done[1]))
            if isinstance(item, ast.Call) and id(item.func) not in self.used:
                node = self._evaluated(item, variable.id)
                if node is not None:
                    values.append((item, node))
        if not updates:
            raise NotPlain(f"the session never runs {train.id} on its own")
        for name in (variable.id, train.id, *initializers, *(n for n, node in self.nodes.items() if node.function)):
            for use, _ in self.names.uses.get(name, ()):
                if id(use) not in self.used:
                    raise NotPlain(f"{name} is used in another way on line {use.lineno}")
        return tuple(updates), tuple(values)

    def _initializers(self, gone: list[ast.stmt]) -> set[str]:
        found = set()
        for item in self.source.tree.body:
            if isinstance(item, ast.Assign) and self.path(item.value) == "global_variables_initializer":
                assert isinstance(item.value, ast.Call)
                if len(item.targets) == 1 and isinstance(item.targets[0], ast.Name):
                    self._once(item.targets[0].id)
                    found.add(item.targets[0].id)
                    self.known.add(id(item.value.func))
                    gone.append(item)
        return found

    def _run(
        self, item: ast.Expr | ast.Assign, call: ast.Call, session: str, train: str, loss: Node, initializers: set[str]
    ) -> tuple[str, str | None] | None:
        """`s.run(init)` and `s.run(train)` as statements, and `_, value = s.run([train, loss])`."""
        if chain_of(call.func) != (session, "run") or len(call.args) != 1 or call.keywords:
            return None
        argument = call.args[0]
        if isinstance(item, ast.Expr):
            started = self.path(argument) == "global_variables_initializer"
            if started or (isinstance(argument, ast.Name) and argument.id in initializers):
                self._use(call, argument)
                if started and isinstance(argument, ast.Call):
                    self.known.add(id(argument.func))
                return "gone", None
            if isinstance(argument, ast.Name) and argument.id == train:
                self._use(call, argument)
                return "update", None
            return None
        target = item.targets[0]
        both = isinstance(argument, ast.List | ast.Tuple) and isinstance(target, ast.Tuple)
        if not both or len(item.targets) != 1 or not isinstance(argument, ast.List | ast.Tuple):
            return None
        assert isinstance(target, ast.Tuple)
        names = [node.id if isinstance(node, ast.Name) else "" for node in argument.elts]
        given = [node.id if isinstance(node, ast.Name) else "" for node in target.elts]
        if sorted(names) != sorted((train, loss.name)) or len(given) != 2 or given[names.index(train)] != "_":
            return None
        self._use(call, *argument.elts)
        return "update", given[names.index(loss.name)]

    def _use(self, call: ast.Call, *nodes: ast.AST) -> None:
        self.used.add(id(call.func))
        for node in (call.func, *nodes):
            self.used |= {id(inner) for inner in ast.walk(node)}

    def _evaluated(self, call: ast.Call, session: str) -> Node | None:
        """`node.eval()` and `s.run(node)`."""
        chain = chain_of(call.func)
        if chain is None or call.keywords:
            return None
        if len(chain) == 2 and chain[1] == "eval" and chain[0] in self.nodes and not call.args:
            self._use(call)
            return self.nodes[chain[0]]
        argument = call.args[0] if len(call.args) == 1 else None
        if chain == (session, "run") and isinstance(argument, ast.Name) and argument.id in self.nodes:
            self._use(call, argument)
            return self.nodes[argument.id]
        return None

    def _complete(self) -> None:
        """Every other use of TensorFlow must be one that is known: a type, a reduction, an initializer."""
        for node in self.all:
            path = self.paths.get(id(node), "")
            inside = path.startswith("losses.Reduction.") or path.endswith("_initializer") or path in _VALUES
            if id(node) not in self.known and not inside:
                raise NotPlain(f"the graph uses {ast.unparse(node)} (line {node.lineno})")
