"""A plain TensorFlow 1 graph to MindSpore: layers stay variables, the loss becomes a function, the session's block goes."""

from __future__ import annotations

import ast
import re
from typing import Final

from optmap.mapping.steps import Graph, load_graph
from optmap.source.calls import comments_in
from optmap.source.changes import Change, Delete, Insert, Replace, Where
from optmap.source.model import How, Module, Variable
from optmap.source.syntax import inner
from optmap.source.templates import Template, template
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.steps.read.graph import GraphPlan, Node
from optmap.translate.steps.read.session import read_graph
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.values import NamedTuple

_ARRAYS: Final = frozenset(
    f"numpy.{name}" for name in
    ("array", "zeros", "ones", "eye", "full", "arange", "asarray", "identity", "loadtxt", "load")
)  # fmt: skip
"""Functions of numpy that make arrays."""
_METHODS: Final = frozenset({"astype", "transpose", "reshape", "copy"})
"""Methods of arrays that give arrays."""


class Written(NamedTuple):
    """The changes of a graph. `done` are parts that nothing else may change."""

    changes: list[Change]
    done: list[ast.AST]


class GraphWriter:
    """Writes one graph. Raises NotPlain where a layer or a loss is given what MindSpore's cannot take."""

    def __init__(
        self, source: Source, plan: GraphPlan, table: Graph, module: str, function: str, gradients: str, loss: str
    ) -> None:  # fmt: skip
        self.source = source
        self.names = Module.of(source)
        self.plan = plan
        self.table = table
        self.module = module
        self.function = function
        self.gradients = gradients
        self.loss = loss
        self.changes: list[Change] = []

    def write(self) -> Written:
        plan = self.plan
        for layer in plan.layers:
            self._replace(layer.call, self._dense(layer))
        for layer in plan.layers[1:]:  # layers that are no parts of one Cell call their parameters alike
            text = f"{layer.name}.update_parameters_name('{layer.name}.')"
            self.changes.append(Insert(layer.statement, Where.AFTER, Template(text)))
        self._define_loss(plan.loss)
        self._minimize()
        self.changes += map(Delete, plan.gone)
        for statement, target in plan.updates:
            self._update(statement, target)
        for call, node in plan.values:
            self.changes.append(Replace(call, Template(f"{node.value}.asnumpy()")))
        self._open_session()
        done: list[ast.AST] = [*(layer.call for layer in plan.layers), plan.loss.statement, *plan.gone]
        done += [plan.session.items[0].context_expr, *(call for call, _ in plan.values)]
        return Written(self.changes, done)

    def _replace(self, call: ast.Call, new: Template) -> None:
        start, end = self.source.start(call), self.source.end(call)
        if b"#" in self.source.body[start:end] and comments_in(self.source, self.source.end(call.func), end):
            raise NotPlain(Why.COMMENT_IN_CALL, line=call.lineno)
        self.changes.append(Replace(call, new))

    def _dense(self, node: Node) -> Template:
        given = dict(node.given)
        inputs, units = given.pop("inputs"), given.pop("units", None)
        if units is None:
            raise NotPlain(Why.NO_UNITS, line=node.call.lineno)
        slots: list[ast.expr] = [units]
        width = f"{ast.unparse(inputs)}.shape[-1]"
        before = next((layer for layer in self.plan.layers if layer.name == ast.unparse(inputs)), None)
        if before is not None:
            width = f"{before.name}.out_channels"
        weight, bias, has_bias = "'xavier_uniform'", "'zeros'", "True"
        for name, value in given.items():
            empty = isinstance(value, ast.Constant) and value.value is None
            if name == "kernel_initializer" and not empty:
                weight = self._initial(value, slots, transposed=True)
            elif name == "bias_initializer" and not empty:
                bias = self._initial(value, slots, transposed=False)
            elif name == "use_bias":
                slots.append(value)
                has_bias = f"$slot{len(slots) - 1}"
            elif name != "name" and not empty:
                raise NotPlain(Why.UNKNOWN_OPTION, line=node.call.lineno, given=name)
        for slot in slots:
            self._check_slot(slot)
        text = f"{self.module}.nn.Dense({width}, $slot0, weight_init={weight}, bias_init={bias}, has_bias={has_bias})"
        return template(text, **{f"slot{number}": slot for number, slot in enumerate(slots)})

    def _check_slot(self, slot: ast.expr) -> None:
        for node in inner(slot):
            if id(node) in self.plan.paths:
                raise NotPlain(Why.COMPUTED_ARGUMENT, line=getattr(node, "lineno", 0))

    def _initial(self, value: ast.expr, slots: list[ast.expr], *, transposed: bool) -> str:
        """The initial values of a parameter; a kernel of TensorFlow is the transpose of a weight of MindSpore."""
        path = self.plan.paths.get(id(value.func), "") if isinstance(value, ast.Call) else ""
        if path in ("zeros_initializer", "ones_initializer"):
            return f"'{path.removesuffix('_initializer')}'"
        if path != "constant_initializer" or not isinstance(value, ast.Call):
            raise NotPlain(Why.UNKNOWN_INITIALIZER, line=value.lineno, given=ast.unparse(value)[:40])
        words = {word.arg: word.value for word in value.keywords}
        constant = value.args[0] if value.args else words.get("value")
        if constant is None or len(value.args) > 1 or set(words) - {"value", "dtype"} or not self._is_array(constant):
            raise NotPlain(Why.NO_ARRAY, line=value.lineno)
        slots.append(constant)
        made = f"{self.module}.tensor($slot{len(slots) - 1}, dtype={self.module}.float32)"
        return f"{made}.T" if transposed else made

    def _is_array(self, node: ast.expr | None) -> bool:
        """Tell whether an expression is a numpy array: made by numpy, a method's result on one that is, or its name."""
        seen: set[Variable] = set()
        while isinstance(node, ast.Call | ast.Name):
            if isinstance(node, ast.Name):
                variable = self.names.variable(node)
                if variable is None or variable in seen or len(variable.bindings) != 1:
                    return False
                seen.add(variable)
                (binding,) = variable.bindings
                node = binding.value if binding.how is How.ASSIGNED else None
            else:
                paths = self.names.paths(node.func)
                if paths and paths <= _ARRAYS:
                    return True
                method = node.func if isinstance(node.func, ast.Attribute) else None
                node = method.value if method is not None and method.attr in _METHODS else None
        return False

    def _define_loss(self, node: Node) -> None:
        """`loss = tf.losses.x(labels, predictions)` becomes `def loss(): return x(predictions, labels)`."""
        assert node.function is not None
        given = dict(node.given)
        labels, predictions = (self._node_value(given.pop(name)) for name in node.function.parameters[:2])
        more = ""
        for name, value in given.items():
            more += self._loss_option(node, name, value)
        path = node.function.becomes.removeprefix("mindspore")
        statement = node.statement
        start, end = self.source.start(statement), self.source.end(statement)
        if b"#" in self.source.body[start:end]:
            raise NotPlain(Why.COMMENT_IN_LOSS, line=statement.lineno)
        result = f"return {self.module}{path}({predictions}, {labels}{more})"
        self.changes.append(Replace(statement, Template(f"def {node.name}():\n    {result}\n\n")))

    def _node_value(self, node: ast.expr) -> str:
        assert isinstance(node, ast.Name)
        layer = next((layer for layer in self.plan.layers if layer.name == node.id), None)
        return layer.value if layer is not None else node.id

    def _loss_option(self, node: Node, name: str, value: ast.expr) -> str:
        literal = value.value if isinstance(value, ast.Constant) else None
        if name == "reduction":
            word = self.plan.paths.get(id(value), "").removeprefix("losses.Reduction.")
            if word in self.table.reductions:
                reduction = self.table.reductions[word]
                return "" if reduction == "mean" else f", reduction={reduction!r}"
        elif name == "label_smoothing" and isinstance(literal, int | float):
            return f", label_smoothing={float(literal)!r}" if literal else ""
        elif (name == "weights" and literal in (1, 1.0)) or name == "scope":
            return ""
        raise NotPlain(Why.UNKNOWN_OPTION, line=node.call.lineno, given=f"{name}={ast.unparse(value)[:40]}")

    def _minimize(self) -> None:
        """`train = X(...).minimize(loss)` becomes the optimizer alone, and the gradient function follows it."""
        plan, source = self.plan, self.source
        function = plan.minimize.func
        assert isinstance(function, ast.Attribute)
        if comments_in(source, source.end(function.value), source.end(plan.minimize)):
            raise NotPlain(Why.COMMENT_IN_MINIMIZE, line=plan.minimize.lineno)
        self.changes.append(Replace(plan.minimize, template("$made", made=function.value)))
        lines = [f"{layer.name}.set_train()" for layer in plan.layers]
        made = f"{self.module}.value_and_grad({plan.loss.name}, None, {plan.optimizer}.parameters)"
        lines.append(f"{self.function} = {made}")
        self.changes.append(Insert(plan.statement, Where.AFTER, Template("\n".join(lines))))

    def _update(self, statement: ast.stmt, target: str | None) -> None:
        loss = target or self.loss
        lines = [f"{loss}, {self.gradients} = {self.function}()", f"{self.plan.optimizer}({self.gradients})"]
        if target is not None:
            lines.append(f"{target} = {target}.asnumpy()")
        self.changes.append(Replace(statement, Template("\n".join(lines))))

    def _open_session(self) -> None:
        """The statements of the session's block move out of it."""
        source, session = self.source, self.plan.session
        first = session.body[0]
        if first.lineno == session.items[0].context_expr.end_lineno:
            raise NotPlain(Why.SESSION_LINE, line=session.lineno)
        head = source.body[source.end(session.items[0].optional_vars or session.items[0].context_expr) :]
        if b"#" in re.split(rb"[\r\n]", head, maxsplit=1)[0]:
            raise NotPlain(Why.COMMENT, line=session.lineno)
        self.changes.append(Replace(session, template("$body", body=session.body)))


def graph_parameters(source: Source, site: CallSite) -> str | None:
    """The parameters that a graph's optimizer trains, as they are named once the graph is rewritten; None where it cannot be."""
    try:
        plan = read_graph(source, site)
        # What can be read may still be given what cannot be written; the constructor must not be translated alone then.
        table = load_graph()
        GraphWriter(source, plan, table, "mindspore", "grad_fn", "grads", "loss").write()
    except NotPlain:
        return None
    return plan.parameters
