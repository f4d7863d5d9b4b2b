"""A plain TensorFlow 1 graph to MindSpore: layers stay variables, the loss becomes a function, the session's block goes."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from optmap.mapping.steps import Graph
from optmap.source.calls import comments_in
from optmap.source.edits import Edit, apply_edits, line_indent, rest_of_line
from optmap.source.text import Source
from optmap.translate.steps.read.graph_plan import GraphPlan, Node
from optmap.translate.steps.read.plan import NotPlain
from optmap.translate.steps.write.layout import LINES, line_start, removal
from optmap.translate.verify import Kept

_SLOT = re.compile(r"__(\d+)__")
_ARRAYS = ("array", "zeros", "ones", "eye", "full", "arange", "asarray", "identity", "loadtxt", "load")


class Written(NamedTuple):
    """The edits of a graph, and what they do to the tree. `done` are parts that nothing else may edit."""

    edits: list[Edit]
    statements: dict[int, list[ast.stmt | Kept]]
    expressions: dict[int, ast.AST]
    fresh: list[ast.AST]
    done: list[ast.AST]


class _Text(NamedTuple):
    """A template with numbered slots and the nodes that go into them: text and tree of the same expression."""

    template: str
    slots: tuple[ast.expr, ...] = ()


class GraphWriter:
    """Writes one graph. Raises NotPlain where a layer or a loss is given what MindSpore's cannot take."""

    def __init__(
        self, source: Source, plan: GraphPlan, table: Graph, module: str, function: str, gradients: str, loss: str
    ) -> None:  # fmt: skip
        self.source = source
        self.plan = plan
        self.table = table
        self.module = module
        self.function = function
        self.gradients = gradients
        self.loss = loss
        self.edits: list[Edit] = []
        self.statements: dict[int, list[ast.stmt | Kept]] = {}
        self.expressions: dict[int, ast.AST] = {}
        self.fresh: list[ast.AST] = []

    def write(self, inner: Sequence[Edit]) -> Written:
        """`inner` are other edits of the file, which are made where they fall into the session's block."""
        plan = self.plan
        for layer in plan.layers:
            self._replace(layer.call, self._dense(layer))
        self._define_loss(plan.loss)
        self._minimize()
        for statement in plan.gone:
            self.statements[id(statement)] = []
        replaced: list[Edit] = []
        for statement, target in plan.updates:
            replaced.append(self._update(statement, target))
        for call, node in plan.values:
            replaced.append(self._evaluate(call, node))
        self._open_session([*replaced, *inner])
        start, end = self.source.start(plan.session), self.source.end(plan.session)
        self.edits += [removal(self.source, item) for item in plan.gone if not start <= self.source.start(item) < end]
        done: list[ast.AST] = [*(layer.call for layer in plan.layers), plan.loss.statement, *plan.gone]
        done += [plan.session.items[0].context_expr, *(call for call, _ in plan.values)]
        return Written(self.edits, self.statements, self.expressions, self.fresh, done)

    def _new(self, text: str) -> ast.stmt:
        node = ast.parse(text).body[0]
        self.fresh += ast.walk(node)
        return node

    def _tree(self, text: _Text) -> ast.expr:
        """The tree of a template, with the nodes of the old tree in its slots."""
        node = ast.parse(_SLOT.sub(r"slot_\1_", text.template), mode="eval").body
        filled = _Fill({f"slot_{number}_": slot for number, slot in enumerate(text.slots)}).visit(node)
        assert isinstance(filled, ast.expr)
        old = {id(inner) for slot in text.slots for inner in ast.walk(slot)}
        self.fresh += (inner for inner in ast.walk(filled) if id(inner) not in old)
        return filled

    def _text(self, text: _Text) -> str:
        def shown(match: re.Match[str]) -> str:
            slot = text.slots[int(match[1])]
            written = self.source.text(self.source.start(slot), self.source.end(slot))
            return written if isinstance(slot, ast.Name | ast.Constant | ast.Attribute | ast.Call) else f"({written})"

        return _SLOT.sub(shown, text.template)

    def _replace(self, call: ast.Call, text: _Text) -> None:
        start, end = self.source.start(call), self.source.end(call)
        if b"#" in self.source.body[start:end] and comments_in(self.source, self.source.end(call.func), end):
            raise NotPlain(f"there is a comment inside the call on line {call.lineno}")
        self.edits.append(Edit(start, end, self._text(text)))
        self.expressions[id(call)] = self._tree(text)

    def _dense(self, node: Node) -> _Text:
        given = dict(node.given)
        inputs, units = given.pop("inputs"), given.pop("units", None)
        if units is None:
            raise NotPlain(f"line {node.call.lineno} gives no units")
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
                has_bias = f"__{len(slots) - 1}__"
            elif name != "name" and not empty:
                raise NotPlain(f"line {node.call.lineno} gives {name}, which is not known to the table")
        for slot in slots:
            self._check_slot(slot)
        text = f"{self.module}.nn.Dense({width}, __0__, weight_init={weight}, bias_init={bias}, has_bias={has_bias})"
        return _Text(text, tuple(slots))

    def _check_slot(self, slot: ast.expr) -> None:
        for inner in ast.walk(slot):
            if id(inner) in self.plan.paths:
                raise NotPlain(f"line {inner.lineno} computes an argument with TensorFlow")  # type: ignore[attr-defined]

    def _initial(self, value: ast.expr, slots: list[ast.expr], *, transposed: bool) -> str:
        """The initial values of a parameter; a kernel of TensorFlow is the transpose of a weight of MindSpore."""
        path = self.plan.paths.get(id(value.func), "") if isinstance(value, ast.Call) else ""
        if path in ("zeros_initializer", "ones_initializer"):
            return f"'{path.removesuffix('_initializer')}'"
        if path != "constant_initializer" or not isinstance(value, ast.Call):
            raise NotPlain(
                f"line {value.lineno} initializes with {ast.unparse(value)[:40]}, which is not known to the table"
            )
        words = {word.arg: word.value for word in value.keywords}
        constant = value.args[0] if value.args else words.get("value")
        if constant is None or len(value.args) > 1 or set(words) - {"value", "dtype"} or not self._is_array(constant):
            raise NotPlain(f"line {value.lineno} does not show that its initial values are an array")
        slots.append(constant)
        made = f"{self.module}.tensor(__{len(slots) - 1}__, dtype={self.module}.float32)"
        return f"{made}.T" if transposed else made

    def _is_array(self, node: ast.expr) -> bool:
        """Tell whether an expression is a numpy array: made by numpy, or a method's result on one that is."""
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if (
                node.func.attr in _ARRAYS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("np", "numpy")
            ):
                return True
            if node.func.attr not in ("astype", "transpose", "reshape", "copy"):
                return False
            node = node.func.value
        if not isinstance(node, ast.Name):
            return False
        values = [
            item.value for item in self.source.tree.body
            if isinstance(item, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in item.targets)
        ]  # fmt: skip
        return len(values) == 1 and not isinstance(values[0], ast.Name) and self._is_array(values[0])

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
            raise NotPlain(f"there is a comment inside the loss on line {statement.lineno}")
        result = f"return {self.module}{path}({predictions}, {labels}{more})"
        newline = self.source.newline
        self.edits.append(Edit(start, end, f"def {node.name}():{newline}    {result}{newline}"))
        self.statements[id(statement)] = [self._new(f"def {node.name}():\n    {result}")]

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
        raise NotPlain(
            f"line {node.call.lineno} gives {name}={ast.unparse(value)[:40]}, which is not known to the table"
        )

    def _minimize(self) -> None:
        """`train = X(...).minimize(loss)` becomes the optimizer alone, and the gradient function follows it."""
        plan, source = self.plan, self.source
        function = plan.minimize.func
        assert isinstance(function, ast.Attribute)
        if comments_in(source, source.end(function.value), source.end(plan.minimize)):
            raise NotPlain(f"there is a comment inside the call of minimize on line {plan.minimize.lineno}")
        self.edits.append(Edit(source.end(function.value), source.end(plan.minimize), ""))
        self.expressions[id(plan.minimize)] = function.value
        end = rest_of_line(source, source.end(plan.statement)).end
        lines = [f"{layer.name}.set_train()" for layer in plan.layers]
        made = f"{self.module}.value_and_grad({plan.loss.name}, None, {plan.optimizer}.parameters)"
        lines.append(f"{self.function} = {made}")
        self.edits.append(Edit(end, end, "".join(source.newline + line for line in lines)))
        self.statements[id(plan.statement)] = [Kept(plan.statement), *map(self._new, lines)]

    def _update(self, statement: ast.stmt, target: str | None) -> Edit:
        loss = target or self.loss
        lines = [f"{loss}, {self.gradients} = {self.function}()", f"{self.plan.optimizer}({self.gradients})"]
        if target is not None:
            lines.append(f"{target} = {target}.asnumpy()")
        self.statements[id(statement)] = [self._new(line) for line in lines]
        start, end = self.source.start(statement), self.source.end(statement)
        return Edit(start, end, (self.source.newline + line_indent(self.source, start)).join(lines))

    def _evaluate(self, call: ast.Call, node: Node) -> Edit:
        text = f"{node.value}.asnumpy()"
        self.expressions[id(call)] = self._tree(_Text(text))
        return Edit(self.source.start(call), self.source.end(call), text)

    def _open_session(self, inner: Sequence[Edit]) -> None:
        """The statements of the session's block move out of it."""
        source, session = self.source, self.plan.session
        gone = {id(item) for item in self.plan.gone}
        first, last = session.body[0], session.body[-1]
        if first.lineno == session.items[0].context_expr.end_lineno:
            raise NotPlain(f"the session's block stands on line {session.lineno} itself")
        head = source.body[source.end(session.items[0].optional_vars or session.items[0].context_expr) :]
        if b"#" in re.split(rb"[\r\n]", head, maxsplit=1)[0]:
            raise NotPlain(f"there is a comment on line {session.lineno}")
        begin = line_start(source, session)
        start = self._next_line(source.end(session.items[0].optional_vars or session.items[0].context_expr))
        end = rest_of_line(source, source.end(last)).end
        removals = [removal(source, item) for item in self.plan.gone if start <= source.start(item) < end]
        edits = [
            Edit(e.start - start, min(e.end, end) - start, e.text)
            for e in (*inner, *removals)
            if start <= e.start < end
        ]
        text = apply_edits(source.body[start:end], edits).decode()
        deep = line_indent(source, source.start(first))
        lines = [line.removeprefix(deep) for line in LINES.findall(text)]
        self.edits.append(Edit(begin, end, "".join(lines)))
        found: list[ast.stmt | Kept] = []
        for item in session.body:
            found += self.statements.pop(id(item), [Kept(item)]) if id(item) not in gone else []
            self.statements.pop(id(item), None)
        self.statements[id(session)] = found

    def _next_line(self, offset: int) -> int:
        match = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)").match(self.source.body, offset)
        assert match is not None
        return match.end()


class _Fill(ast.NodeTransformer):
    def __init__(self, slots: Mapping[str, ast.expr]) -> None:
        self.slots = slots

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.slots.get(node.id, node)
