"""A plain TensorFlow 1 graph, as it was read."""

from __future__ import annotations

import ast
from typing import NamedTuple

from optmap.mapping.steps import GraphFunction


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
