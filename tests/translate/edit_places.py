"""Where a translation may edit a file: every edit is held against the node that it belongs to.

The nodes are found from the file's own tree, from the calls that are reported as translated, and from the lines at which training
steps are reported as rewritten. An edit that lies in none of them has no business where it is, however short it is.
"""

from __future__ import annotations

import ast
import re
import textwrap
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, takewhile

from optmap.mapping.framework import Framework
from optmap.mapping.load import load_schedules
from optmap.mapping.steps import load_table
from optmap.source.edits import Edit
from optmap.translate.results import FileResult

ROOTS = {"torch", "tensorflow", "keras", "mindspore"}
ACCESSORS = {"parameters", "named_parameters", "trainable_params", "get_parameters", "parameters_and_names"}
MEMBERS = ACCESSORS | {
    "train", "eval", "to", "cuda", "cpu", "numpy", "detach", "size", "item", "view", "asnumpy", "shape", "type", "state_dict",
}  # fmt: skip
MEMBERS |= load_table(Framework("torch"), Framework("mindspore")).methods.keys()
"""Members of models and tensors that have other names, or none, in another framework."""
STEP_WORDS = {
    "zero_grad",
    "backward",
    "step",
    "apply_gradients",
    "gradient",
    "GradientTape",
    "minimize",
    "value_and_grad",
    "run",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
}
MAKERS = ("value_and_grad", "grad", "GradOperation", "WithLossCell", "TrainOneStepCell")
BRACKETS = {("[", "]"), ("[*", "]"), ("list(", ")"), ("float(", ")"), ("iter(", ")")}
"""What may be put around an expression."""
PARTS = {"(p for p in ": "get_parameters() if not p.name.endswith(", "(m for _, m in ": "cells_and_names())"}
Span = tuple[int, int]


class Places:
    """The places of one file; offsets count the bytes of its text in UTF-8."""

    def __init__(self, body: bytes, result: FileResult) -> None:
        self.body = body
        self.tree = ast.parse(body.decode())  # text, in which no cookie declares an encoding
        self.starts = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", body))]
        self.nodes = list(ast.walk(self.tree))
        self.parents = {id(inner): node for node in self.nodes for inner in ast.iter_child_nodes(node)}
        sources = {(call.line, call.column): call.source for call in result.calls if call.status == "translated"}
        self.calls = [
            node for node in self.nodes if isinstance(node, ast.Call) and (node.lineno, self.column(node)) in sources
        ]
        schedules = load_schedules().apis
        self.schedules = [node for node in self.calls if sources[node.lineno, self.column(node)] in schedules]
        self.imports = [node for node in self.nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        self.imported = {
            (alias.asname or alias.name).partition(".")[0]
            for node in self.imports for alias in node.names
            if ((node.module or "") if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0] in ROOTS
        }  # fmt: skip
        rewritten = {item.line for item in result.diagnostics if item.code.id == "OM403"}
        self.steps = [
            node for node in self.nodes
            if isinstance(node, ast.stmt) and not hasattr(node, "body") and rewritten & {*range(node.lineno, (node.end_lineno or 0) + 1)}
        ]  # fmt: skip
        makers = set(MAKERS)
        for node in self.nodes:
            if not isinstance(node, ast.Assign) or isinstance(node.targets[0], ast.Tuple):
                continue
            if any(_mentions(node.value, name) for name in makers):
                makers |= {ast.unparse(target) for target in node.targets}
        self.made = [
            node for node in self.nodes
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and ast.unparse(node.targets[0]) in makers
        ]  # fmt: skip
        self.gradients = {ast.unparse(node.targets[0]) for node in self.made}
        """The functions that give gradients."""
        self.sums = b"total is None" in result.output
        self.output = result.output
        codes = {item.code.id for item in result.diagnostics}
        self.passed = "OM316" in codes
        self.attached = "OM315" in codes
        self.scaled = "OM321" in codes

    # Offsets

    def column(self, node: ast.expr) -> int:
        start = self.starts[node.lineno - 1]
        return len(self.body[start : start + node.col_offset].decode()) + 1

    def span(self, node: ast.AST) -> Span:
        first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        return self.starts[first - 1] + node.col_offset, self.starts[last - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def lines(self, node: ast.AST) -> Span:
        """The whole lines of a statement, with its decorators."""
        first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        first = min([first, *(item.lineno for item in getattr(node, "decorator_list", ()))])
        return self.starts[first - 1], self.starts[last] if last < len(self.starts) else len(self.body)

    def room(self, statement: ast.stmt) -> Span:
        """A statement with the blanks and semicolons around it, and the line ends behind it."""
        start, end = self.span(statement)
        before, behind = (
            re.search(rb"[ \t;]*\Z", self.body[:start]),
            re.match(rb"[ \t;]*(\r\n|\r|\n)*", self.body[end:]),
        )
        assert before is not None
        assert behind is not None
        return before.start(), end + behind.end()

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while (node := self.parents.get(id(node), self.tree)) is not self.tree:
            yield node

    def owner(self, node: ast.AST) -> ast.AST:
        """Where a name is bound, or read: the class of an attribute of self, the function of another name, or the module."""
        kinds = ast.ClassDef if ast.unparse(node).startswith("self.") else ast.FunctionDef | ast.AsyncFunctionDef
        return next((item for item in self.ancestors(node) if isinstance(item, kinds)), self.tree)

    def block(self, statement: ast.AST) -> Sequence[ast.stmt]:
        parent = self.parents[id(statement)]
        for _, value in ast.iter_fields(parent):
            if isinstance(value, list) and any(item is statement for item in value):
                return value
        raise AssertionError("a statement stands in a block")

    # Rules

    def strangers(self, edits: Sequence[Edit]) -> list[Edit]:
        """The edits that belong to no node that a translation changes."""
        edits = [edit._replace(text=self._unbroken(edit)) for edit in edits]
        paired = {id(edit) for pair in self._wrapped(edits) for edit in pair}
        rules: list[Callable[[Edit], bool]] = [
            self._in_a_call, self._of_an_import, self._of_an_accessor, self._of_a_schedule, self._of_a_step, self._of_a_framework,
            self._of_a_move, self._of_comments, self._of_an_idle_group, self._of_the_rate_of_a_group, self._of_a_tensor_of_rates,
            self._of_a_loss_scale, self._of_a_break, self._of_a_conversion, self._of_a_state,
        ]  # fmt: skip
        return [edit for edit in edits if id(edit) not in paired and not any(rule(edit) for rule in rules)]

    def _in_a_call(self, edit: Edit) -> bool:
        """Within a call that was translated."""
        return any(_within(edit, self.span(node)) for node in self.calls)

    def _of_a_state(self, edit: Edit) -> bool:
        """What saves or loads the state of a model or an optimizer that are rewritten."""
        states = [node for node in self.nodes if isinstance(node, ast.Call) and "state_dict(" in ast.unparse(node)]
        written = re.match(r"mindspore\.(save_checkpoint|load_param_into_net)\(", edit.text) is not None
        return bool(self.steps) and written and any((edit.start, edit.end) == self.span(node) for node in states)

    def _of_a_conversion(self, edit: Edit) -> bool:
        """A batch that is made the target's in a loop of a rewritten step, or of an evaluation."""
        made = _parsed(edit.text)
        converts = made is not None and len(made) == 1 and isinstance(made[0], ast.Assign) and ".numpy()" in edit.text
        loops = [node for node in self.nodes if isinstance(node, ast.For)]
        return (
            converts
            and bool(self.steps)
            and edit.start == edit.end
            and any(_within(edit, self.lines(node)) for node in loops)
        )

    def _of_a_break(self, edit: Edit) -> bool:
        """Line breaks in a call, with the comma behind its last argument."""
        blank = not (edit.text + self.body[edit.start : edit.end].decode()).strip(", \t\r\n")
        return blank and any(
            isinstance(node, ast.Call | ast.ListComp | ast.DictComp | ast.List | ast.Dict)
            and _within(edit, self.span(node))
            for node in self.nodes
        )

    def _unbroken(self, edit: Edit) -> str:
        """New code with calls on one line that are spread over several."""
        if not edit.text.strip():
            return edit.text
        behind = self.body[edit.end : edit.end + 1].decode(errors="replace")
        text = re.sub(r"(?<=\()[\r\n]+[ \t]*|,?[\r\n]+[ \t]*(?=[)\]}])", "", edit.text + behind)
        text = re.sub(r"(?<=,)[\r\n]+[ \t]*", " ", text)
        return text[: len(text) - len(behind)]

    def _of_comments(self, edit: Edit) -> bool:
        """Comments of the file on lines of their own, where a translation took away what they stood beside; or marks."""
        lines = edit.text.splitlines()
        if edit.start == edit.end and edit.text.lstrip().startswith("# TODO(optmap OM"):
            return all(re.match(r"\s*#", line) for line in lines)
        return edit.start == edit.end and all(
            re.match(r"\s*#", line) and line.strip().encode() in self.body for line in lines
        )

    def _of_an_import(self, edit: Edit) -> bool:
        """Within an import statement, or new imports and nothing else."""
        if any(_within(edit, self.span(node)) and edit.start < edit.end for node in self.imports):
            return True
        made = _parsed(edit.text)
        if made is None or not all(isinstance(node, ast.Import | ast.ImportFrom) for node in made):
            return False
        return (edit.start == edit.end and bool(made)) or any(_within(edit, self.room(node)) for node in self.imports)

    def _wrapped(self, edits: Sequence[Edit]) -> Iterator[tuple[Edit, Edit]]:
        """Pairs of insertions that put brackets around one expression, or take the filter of trainable parameters from one."""
        ends: dict[int, set[int]] = {}
        for node in self.nodes:
            if isinstance(node, ast.expr):
                ends.setdefault(self.span(node)[0], set()).add(self.span(node)[1])
            if isinstance(node, ast.GeneratorExp | ast.Call) and isinstance(self.parents.get(id(node)), ast.Call):
                ends.setdefault(self.span(node)[0], set()).add(self.span(node)[1])
        inserted = [edit for edit in edits if edit.start == edit.end]
        for index, left in enumerate(inserted):
            for right in inserted[index:]:
                if (left.text, right.text) in BRACKETS and right.start in ends.get(left.start, ()):
                    yield left, right
            part = PARTS.get(_one_line(left.text).replace("( ", "("))
            if part is not None:  # a part of what a method of a model gives
                yield from (
                    (left, right)
                    for right in edits
                    if right.start > left.end and _one_line(right.text).startswith(part)
                )
            if left.text.endswith("ops.stop_gradient("):  # around what a method is called of
                ending = ends.get(left.start, ())
                yield from ((left, right) for right in edits if right.start in ending and right.text.startswith(")."))
        for node in self.nodes:
            if isinstance(node, ast.Call) and _is_name(node.func, "filter") and len(node.args) == 2:
                (start, end), inner = self.span(node), self.span(node.args[1])
                before = [edit for edit in edits if (edit.start, edit.end, edit.text) == (start, inner[0], "")]
                behind = [edit for edit in edits if (edit.start, edit.end, edit.text) == (inner[1], end, "")]
                yield from zip(before, behind, strict=True)

    def _of_an_accessor(self, edit: Edit) -> bool:
        """The name of the method that gives a model's parameters; or its call, given as pairs of names and parameters."""
        for node in self.nodes:
            if not (isinstance(node, ast.Attribute) and node.attr in ACCESSORS):
                continue
            start, end = self.span(node)
            name = (end - len(node.attr), end)
            if (edit.start, edit.end) == name and edit.text in ACCESSORS:
                return True
            if (edit.start, edit.end) == (name[0], end + 2) and edit.text == "trainable_params())":
                return True
            picked = self.parents.get(id(self.parents.get(id(node))))
            if isinstance(picked, ast.comprehension) and edit.start == edit.end and any(
                re.fullmatch(r"\w+\.requires_grad and \(?|\)", edit.text) and edit.start in self.span(test) for test in picked.ifs
            ):  # fmt: skip
                return True
            if edit.start == edit.end == start and edit.text == "((parameter.name, parameter) for parameter in ":
                return True
        return False

    def _of_a_schedule(self, edit: Edit) -> bool:
        """An attached schedule that is passed, with its calls of step(); or the new statement that attaches a passed one."""
        if self.passed:
            made = [node for node in self.nodes if isinstance(node, ast.Assign) and node.value in self.schedules]
            held = [(ast.unparse(target), self.owner(target)) for node in made for target in node.targets]
            stepped = [
                node for node in self.nodes
                if isinstance(node, ast.Expr) and any(
                    ast.unparse(node) == f"{name}.step()" and owner in (self.tree, self.owner(node)) for name, owner in held
                )
            ]  # fmt: skip
            gone: list[ast.stmt] = [*made, *stepped]
            if any((edit.start, edit.end, edit.text) == (*self.lines(node), "") for node in gone):
                return True
            return any((edit.start, edit.end, edit.text) == (*self.span(node), "pass") for node in stepped)
        if not self.attached or edit.start != edit.end:
            return False
        holders = [item for node in self.calls for item in self.ancestors(node) if isinstance(item, ast.stmt)]
        new = _parsed(edit.text)
        line = bisect_right(self.starts, edit.start)
        return (
            new is not None and len(new) == 1 and isinstance(new[0], ast.Assign)
            and isinstance(new[0].value, ast.Call) and any(item.end_lineno == line for item in holders)
        )  # fmt: skip

    def _of_a_step(self, edit: Edit) -> bool:
        """Of the block of a rewritten step: its statements up to the last that takes part in it, and what is put before it."""
        if edit.start == edit.end and re.fullmatch(r"\s*[\w.]+\.set_train\(\)\s*", edit.text) and self.steps:
            return any(self.span(node)[1] == edit.start for node in self.nodes if isinstance(node, ast.Assign))
        for step in self.steps:
            if _within(edit, self.span(step)):
                return True
            around = [step, *(node for node in self.ancestors(step) if isinstance(node, ast.stmt))]
            outer = list(takewhile(lambda node: not isinstance(node, ast.FunctionDef | ast.ClassDef), around))
            for inner in outer if self.sums else (step,):  # gradients that are added up are those of a block around
                block = self.block(inner)
                last = max(index for index, node in enumerate(block) if node is inner or self._takes_part(node))
                if (
                    self.lines(block[0])[0] <= edit.start
                    and edit.end <= self.lines(block[last])[1]
                    and self._of_statements(edit)
                ):
                    return True
            behind = [
                following for item in around for one, following in pairwise(self.block(item)) if following is item
            ]
            if edit.start == edit.end and _prepares(edit.text):
                ends = {self.lines(node)[0] for node in around}
                ends |= {self.lines(node)[0] for node in behind}
                gap = max((at for at in ends if at <= edit.start), default=None)
                before = min((at for at in ends if at >= edit.start), default=None)
                if edit.start in ends or any(
                    not self.body[edit.start : at].strip() for at in (gap, before) if at is not None
                ):
                    return True
        decorators = [item for node in self.nodes for item in getattr(node, "decorator_list", ())]
        gone = [
            node
            for node in decorators
            if not edit.text and any(_mentions(node, name) for name in ("function", "jit", "no_grad", "inference_mode"))
        ]
        variables = [
            node for node in self.nodes
            if isinstance(node, ast.Assign) and not edit.text and re.search(r"\.trainable_(variables|weights)$", ast.unparse(node))
        ]  # fmt: skip
        modes = [
            node.value for node in self.nodes
            if isinstance(node, ast.Attribute) and node.attr == "set_train" and ast.unparse(node.value) in self.gradients
        ]  # fmt: skip
        places = [
            *map(self.lines, self.made),
            *map(self.lines, gone),
            *map(self.room, self.made),
            *map(self.span, modes),
            *map(self.lines, variables),
            *(self.lines(node) for node in self.nodes if isinstance(node, ast.Delete) and not edit.text),
        ]
        return bool(self.steps) and any(_within(edit, place) for place in places)

    def _of_statements(self, edit: Edit) -> bool:
        """Whether an edit begins and ends with statements, or lies in one that takes part in a step."""
        statements = [node for node in self.nodes if isinstance(node, ast.stmt)]
        begins = any(edit.start in (self.lines(node)[0], self.span(node)[0]) for node in statements)
        ends = any(self._ends(node, edit.end) for node in statements)
        if ends and (begins or edit.start == edit.end):
            return True
        plain = [node for node in statements if not hasattr(node, "body")]
        return any(_within(edit, self.span(node)) and self._takes_part(node) for node in plain)

    def _ends(self, statement: ast.stmt, offset: int) -> bool:
        """Whether a place is the end of a statement, or behind it on its line with nothing but a comment between."""
        end = self.span(statement)[1]
        return (
            end <= offset
            and re.fullmatch(rb"[ \t]*(#[^\r\n]*)?([ \t]*(\r\n|\r|\n))*", self.body[end:offset]) is not None
        )

    def _takes_part(self, statement: ast.AST) -> bool:
        inside = list(ast.walk(statement))
        words = {node.attr for node in inside if isinstance(node, ast.Attribute)}
        called = {ast.unparse(node.func) for node in inside if isinstance(node, ast.Call)}
        return bool(words & STEP_WORDS or called & self.gradients)

    def _of_a_framework(self, edit: Edit) -> bool:
        """With a rewritten step: names of the framework, arguments of what they name, and members that other frameworks lack."""
        if not self.steps:
            return False
        for node in self.nodes:
            heads = (
                [node.value]
                if isinstance(node, ast.Expr)
                else [item.context_expr for item in getattr(node, "items", ())]
            )
            if heads and all(isinstance(item, ast.Call) and self._is_imported(item.func) for item in heads):
                assert isinstance(node, ast.stmt)
                if edit.start in (self.span(node)[0], self.lines(node)[0]) and self._ends(node, edit.end):
                    return True  # a setting of the framework, or a context of its own such as a session
            if isinstance(node, ast.Attribute | ast.Name) and self._is_imported(node):
                if (edit.start, edit.end) == self.span(node):
                    return True
            elif isinstance(node, ast.Call) and self._is_imported(node.func):
                callee, whole = self.span(node.func), self.span(node)
                if (
                    edit.start in (callee[0], *range(callee[1], whole[1]))
                    and edit.end <= whole[1]
                    and not _statements(edit.text)
                ):
                    return True
            elif isinstance(node, ast.Attribute) and node.attr in MEMBERS:
                call = self.parents.get(id(node))
                whole = self.span(call) if isinstance(call, ast.Call) and call.func is node else self.span(node)
                if _within(edit, whole) and edit.end > self.span(node.value)[1] and edit.start < whole[1]:
                    return True
        return (
            self.body[edit.start : edit.end] == b"forward"
            and edit.text == "construct"
            and edit.start in self._forwards()
        )

    def _of_a_move(self, edit: Edit) -> bool:
        """With a rewritten step: `x, y = x.to(device), y.cuda()` as a whole."""
        moves = [
            node for node in self.nodes
            if self.steps and isinstance(node, ast.Assign) and len(node.targets) == 1
            and ast.unparse(node.targets[0]) == re.sub(r"\.(to|cuda|cpu)\([^()]*\)", "", ast.unparse(node.value))
        ]  # fmt: skip
        devices = [
            node for node in self.nodes
            if self.steps and isinstance(node, ast.Assign) and re.search(r"device\(|is_available\(", ast.unparse(node.value))
        ]  # fmt: skip
        bare = [
            node for node in self.nodes
            if self.steps and isinstance(node, ast.Expr) and re.fullmatch(r"[\w.]+\.(to|cuda|cpu)\([^()]*\)", ast.unparse(node))
        ]  # fmt: skip
        gone = [*moves, *devices, *bare]
        gone += [
            node
            for node in self.nodes
            if isinstance(node, ast.If) and all(item in gone for item in (*node.body, *node.orelse))
        ]
        return edit.text in ("", "pass") and any(
            (edit.start, edit.end) == self.lines(node)
            or (edit.start == self.span(node)[0] and self._ends(node, edit.end))
            for node in gone
        )

    def _of_an_idle_group(self, edit: Edit) -> bool:
        """A group or a key that says nothing to another framework, with its comma."""
        idle = [
            node for node in self.nodes
            if isinstance(node, ast.List | ast.Dict) and re.search(r"order_params|grad_centralization", ast.unparse(node))
        ]  # fmt: skip
        return not edit.text.strip() and any(_within(edit, self.span(node)) for node in idle)

    def _of_the_rate_of_a_group(self, edit: Edit) -> bool:
        """The learning rate of a group: 1.0 where it is that of a schedule, `...` where --todo leaves it open."""
        values = [
            value for node in self.nodes if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant) and key.value == "lr"
        ]  # fmt: skip
        wanted = {"1.0": self.attached, "...": b"TODO(optmap" in self.output}
        return wanted.get(edit.text, False) and any((edit.start, edit.end) == self.span(value) for value in values)

    def _of_a_tensor_of_rates(self, edit: Edit) -> bool:
        """`rates = Tensor(x)`: what is around x, or the statement."""
        made = [
            node
            for node in self.nodes
            if self.attached and isinstance(node, ast.Assign) and _mentions(node.value, "Tensor")
        ]
        return not edit.text and any(
            _within(edit, self.span(node.value)) or (edit.start, edit.end) == self.lines(node) for node in made
        )

    def _of_a_loss_scale(self, edit: Edit) -> bool:
        """What multiplies the loss goes, or becomes 1.0; or a hook stands behind the optimizer."""
        if not self.scaled:
            return False
        scales = [node for node in self.nodes if isinstance(node, ast.expr) and edit.text == "1.0"]
        gone = [
            node for node in self.nodes
            if isinstance(node, ast.keyword | ast.Assign) and "scale" in ast.unparse(node) and not edit.text
        ]  # fmt: skip
        new = _parsed(edit.text) or []
        hook = [type(node) for node in new] == [ast.FunctionDef, ast.Expr] and "register_step_pre_hook" in edit.text
        whole = any((edit.start, edit.end) == self.span(node) for node in scales)
        removed = any(self.span(node)[0] <= edit.end and edit.start <= self.span(node)[1] for node in gone)
        return whole or removed or (edit.start == edit.end and hook)

    def _forwards(self) -> set[int]:
        """Where `forward` is defined in a class, or taken from an object."""
        methods = [item for node in self.nodes if isinstance(node, ast.ClassDef) for item in node.body]
        defined = [node for node in methods if isinstance(node, ast.FunctionDef) and node.name == "forward"]
        taken = [node for node in self.nodes if isinstance(node, ast.Attribute) and node.attr == "forward"]
        return {self.span(node)[0] + len("def ") for node in defined} | {
            self.span(node)[1] - len("forward") for node in taken
        }

    def _is_imported(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.imported


def _within(edit: Edit, span: Span) -> bool:
    return span[0] <= edit.start and edit.end <= span[1]


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _mentions(tree: ast.AST, name: str) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr == name) or (isinstance(node, ast.Name) and node.id == name)
        for node in ast.walk(tree)
    )


def _parsed(text: str) -> list[ast.stmt] | None:
    try:
        return ast.parse(textwrap.dedent(text.strip("\r\n;") + "\n")).body
    except SyntaxError:
        return None


def _statements(text: str) -> bool:
    return "\n" in text


def _prepares(text: str) -> bool:
    """Whether statements make a forward function and its gradients, or put models into a mode."""
    made = _parsed(text)
    return made is not None and all(
        isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and _mentions(node.value, "value_and_grad"))
        or (
            isinstance(node, ast.Expr) and ast.unparse(node).endswith((".set_train()", ".set_train(False)", ".train()"))
        )
        for node in made
    )


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
