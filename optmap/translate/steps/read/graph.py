"""TensorFlow 1 graphs that are plain: layers, one loss, `minimize`, and a session that runs them.

A layer's node becomes the layer itself, the loss becomes a function, `session.run(train)` one update, and what is evaluated is
computed where it is asked for. Anything else in the graph is raised as NotPlain with its reason.
"""

from __future__ import annotations

import ast

from optmap.mapping.steps import Graph, GraphFunction, load_graph
from optmap.source.bind import Unbound, bind, signature_of
from optmap.source.model import Module
from optmap.source.syntax import chain_of
from optmap.source.text import Source
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.values import NamedTuple

TYPES = ("float16", "float32", "float64", "int32", "int64")
INITIALIZERS = ("global_variables_initializer", "initialize_all_variables")
_CONSTANT = signature_of("value, dtype=None, *, name=None")


class Node(NamedTuple):
    """A node of the graph: its statement, the call that makes it by parameter, and how its value is written afterwards."""

    name: str
    statement: ast.Assign
    call: ast.Call
    given: dict[str, ast.expr]
    function: GraphFunction | None
    value: str


class GraphPlan(NamedTuple):
    """A plain graph. `optimizer` is the variable that holds the optimizer afterwards, `train` the one that is run.

    `gone` are statements that disappear, `updates` those that run the training operation, with the variable that takes the
    loss, if any, `values` the calls that evaluate a node.
    """

    layers: tuple[Node, ...]
    loss: Node
    minimize: ast.Call
    statement: ast.Assign
    optimizer: str
    session: ast.With
    gone: tuple[ast.stmt, ...]
    updates: tuple[tuple[ast.stmt, str | None], ...]
    values: tuple[tuple[ast.Call, Node], ...]
    paths: dict[int, str]

    @property
    def parameters(self) -> str:
        """The text of the parameters that the graph's optimizer trains: all of them."""
        return " + ".join(f"{layer.name}.trainable_params()" for layer in self.layers)


def graph_path(path: str) -> str:
    """A TensorFlow path without its beginning, which is `tensorflow` or `tensorflow.compat.v1`."""
    return path.removeprefix("tensorflow.").removeprefix("compat.v1.")


class Graphs:
    """A graph while it is read: its nodes by name, and which references to TensorFlow are known to be translated."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.module = Module.of(source)
        self.table: Graph = load_graph()
        self.references = [item.node for item in self.module.references({"tensorflow"}).references]
        self.paths: dict[int, str] = {}
        for node in self.references:
            (path, *others) = self.module.paths(node) or (None,)
            if path is not None and path.startswith("tensorflow") and not others:
                self.paths[id(node)] = graph_path(path)
        self.known: set[int] = set()
        self.used: set[int] = set()
        self.nodes: dict[str, Node] = {}

    def path(self, node: ast.AST) -> str:
        """The path of the TensorFlow function that a node calls."""
        return self.paths.get(id(node.func), "") if isinstance(node, ast.Call) else ""

    def once(self, target: ast.Name) -> str:
        """The name of a target of the module that is bound there alone. Raises NotPlain."""
        variable = self.module.variable(target)
        if variable is None or len(variable.bindings) != 1:
            raise NotPlain(Why.BOUND_AGAIN, name=target.id)
        return target.id

    def named(self, node: ast.AST | None) -> str | None:
        """The name of a variable of the module."""
        variable = self.module.variable(node) if isinstance(node, ast.Name) else None
        found = variable is not None and variable.scope is self.module.tree
        return node.id if found and isinstance(node, ast.Name) else None

    def node(self, node: ast.AST | None) -> Node | None:
        """The node of the graph that a name stands for."""
        return self.nodes.get(self.named(node) or "")

    def add(self, item: ast.Assign) -> None:
        """Take up a statement that adds a node to the graph. Raises NotPlain."""
        call, path = item.value, self.path(item.value)
        if not isinstance(call, ast.Call) or not path or path in INITIALIZERS:
            return
        target = item.targets[0]
        if len(item.targets) != 1 or not isinstance(target, ast.Name):
            raise NotPlain(Why.NODE_NOT_NAMED, line=item.lineno)
        function = self.table.dense if path == self.table.dense.path else self.table.losses.get(path)
        if path == "constant":
            self._check_constant(call)
            self.nodes[target.id] = Node(target.id, item, call, {}, None, target.id)
        elif function is None:
            raise NotPlain(Why.GRAPH_USES, used=f"tf.{path}", line=item.lineno)
        else:
            given = _given(call, function)
            inputs = self._value(given.get("inputs")) if function is self.table.dense else ""
            self.nodes[target.id] = Node(target.id, item, call, given, function, f"{target.id}({inputs})")
        self.once(target)
        self.known.add(id(call.func))

    def _check_constant(self, call: ast.Call) -> None:
        """Only what is surely translated with the graph: a value, a type named by numpy or TensorFlow, a name."""
        bound = bind(_CONSTANT, call)
        dtype = bound.given["dtype"] if not isinstance(bound, Unbound) else None
        if dtype is None or not (dtype.index is None or self._is_type(dtype.value)):
            raise NotPlain(Why.CONSTANT, line=call.lineno)

    def _is_type(self, node: ast.expr) -> bool:
        chain = chain_of(node) or ("",)
        return self.paths.get(id(node), "") in TYPES or (chain[0] in ("np", "numpy") and chain[-1] in TYPES)

    def _value(self, node: ast.expr | None) -> str:
        """How the value of a node that is an input of another is written afterwards."""
        found = self.node(node)
        if found is None or node is None:
            raise NotPlain(Why.UNKNOWN_NODE, node=ast.unparse(node) if node is not None else "nothing")
        self.used.add(id(node))
        return found.value

    def loss(self, minimize: ast.Call) -> Node:
        """The loss that is minimized. Raises NotPlain."""
        wanted = minimize.args[0] if minimize.args else minimize.keywords[0].value
        found = self.node(wanted)
        if found is None or found.function is None or found.function is self.table.dense:
            raise NotPlain(Why.UNKNOWN_LOSS, node=ast.unparse(wanted))
        self.used.add(id(wanted))
        for name in found.function.parameters[:2]:
            self._value(found.given.get(name))
        return found

    def check_complete(self) -> None:
        """Every other use of TensorFlow must be one that is known: a type, a reduction, an initializer. Raises NotPlain."""
        for node in self.references:
            path = self.paths.get(id(node), "")
            inside = path.startswith("losses.Reduction.") or path.endswith("_initializer") or path in TYPES
            if id(node) not in self.known and not inside:
                raise NotPlain(Why.GRAPH_USES, used=ast.unparse(node), line=node.lineno)


def _given(call: ast.Call, function: GraphFunction) -> dict[str, ast.expr]:
    """What the parameters of a graph function get."""
    bound = bind(signature_of(", ".join(f"{name}=None" for name in function.parameters)), call)
    if isinstance(bound, Unbound):
        why = Why.NOT_WRITTEN_OUT if bound.hidden else Why.UNKNOWN_ARGUMENT
        raise NotPlain(why, path=function.path, line=call.lineno)
    return {item.parameter.name: item.value for item in bound.written}
