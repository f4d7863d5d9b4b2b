"""The parameters argument: what the source framework calls it becomes what the target calls it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final, TypeVar

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Parameters
from optmap.mapping.plan import Plan, group_key
from optmap.source.calls import comments_in
from optmap.source.changes import Change, Delete, Rename, Replace
from optmap.source.model import Module
from optmap.source.syntax import called
from optmap.source.templates import Template, template
from optmap.source.text import Source
from optmap.translate.parameters.groups import GroupEntry, ParametersArgument
from optmap.translate.parameters.uses import binding_at

_Node = TypeVar("_Node", bound=ast.expr)


def parameter_changes(source: Source, found: ParametersArgument, plan: Plan, optimizer: ast.Call) -> tuple[Change, ...]:
    """The changes of what an optimizer's parameters argument holds."""
    made = _Changes(source, found, plan, optimizer)
    made.run()
    return tuple(made.changes)


class _Changes:
    """Accessors, group keys, and brackets around single tensors and around what is an iterator."""

    def __init__(self, source: Source, found: ParametersArgument, plan: Plan, optimizer: ast.Call) -> None:
        self.source = source
        self.found = found
        self.plan = plan
        self.old = plan.source.framework.facts.parameters
        self.new = plan.target.framework.facts.parameters
        self.optimizer = optimizer
        self.changes: list[Change] = []

    def run(self) -> None:
        rewritten = [call for call in self.found.filters if self._filter(call)]
        if self.new.lists:
            for node in _different(self.found.lazy):
                if isinstance(node, ast.GeneratorExp):
                    self._listed(node)
                elif not any(node is call for call in rewritten):
                    self._replace(node, "[*$node]")
        for node in _different(self.found.single):
            self._replace(node, "[$node]")
        for call in _different((*self.found.accessors, *self.found.unnamed)):
            if self._must_stay_list(call):
                self._replace(call, "[*$node]")
            self._accessor(call)
        known = {id(call) for call in (*self.found.accessors, *self.found.unnamed)}
        for call in _different(self.found.asked):
            if id(call) not in known:
                self._accessor(call)
        for entry in self.found.entries:
            self._key(entry)
        for item in self.found.idle:
            self._idle(item)

    def _replace(self, node: ast.expr, text: str) -> None:
        self.changes.append(Replace(node, template(text, node=node)))

    def _must_stay_list(self, call: ast.Call) -> bool:
        """MindSpore's `trainable_params()` is a list, torch's `parameters()` is an iterator."""
        if self.old.one_pass or not self.new.one_pass or call in self.optimizer.args:
            return False
        listed = isinstance(call.func, ast.Attribute) and call.func.attr == self.old.trainable
        return listed and needs_list(Module.of(self.source), call, self.optimizer)

    def _listed(self, node: ast.GeneratorExp) -> None:
        """Make a generator expression a list."""
        text, slots = "[$element", {"element": node.elt}
        for place, clause in enumerate(node.generators):
            text += f"{' async' * clause.is_async} for $t{place} in $i{place}"
            slots |= {f"t{place}": clause.target, f"i{place}": clause.iter}
            for number, test in enumerate(clause.ifs):
                text += f" if $c{place}_{number}"
                slots[f"c{place}_{number}"] = test
        self.changes.append(Replace(node, template(f"{text}]", **slots)))

    def _accessor(self, call: ast.Call) -> None:
        old, new = self.old, self.new
        assert isinstance(call.func, ast.Attribute)
        if not new.trainable:
            return
        plain = (*self.found.accessors, *self.found.asked)
        named = call.func.attr == old.named and any(call is other for other in plain)
        if named and self._picked(call, call.func):
            return
        if named and new.own_names:
            text = f"((parameter.name, parameter) for parameter in $model.{new.trainable}())"
            self.changes.append(Replace(call, template(text, model=call.func.value)))
        else:
            wanted = new.named if named and new.named is not None else new.trainable
            self.changes.append(Rename(call.func, wanted))

    def _picked(self, call: ast.Call, accessor: ast.Attribute) -> bool:
        """`[p for n, p in X.named_parameters() if ...]`: pick among all parameters, of those that are trained."""
        clause = Module.of(self.source).parent(call)
        if (
            self.new.named is None
            or self.new.trained is None
            or not isinstance(clause, ast.comprehension)
            or not clause.ifs
        ):
            return False
        target = clause.target
        if not isinstance(target, ast.Tuple) or len(target.elts) != 2 or not isinstance(target.elts[1], ast.Name):
            return False
        self.changes.append(Rename(accessor, self.new.named))
        asked = f"{target.elts[1].id}.{self.new.trained}"
        if not any(ast.unparse(part) == asked for test in clause.ifs for part in _conjuncts(test)):
            self.changes.append(Replace(clause.ifs[0], template(f"{asked} and $test", test=clause.ifs[0])))
        return True

    def _key(self, entry: GroupEntry) -> None:
        key = entry.key
        if key != "params":
            key = group_key(self.plan.source, self.plan.target, key, self.plan.switched) or key
        if key == entry.key:
            return
        if isinstance(entry.node, ast.keyword):
            self.changes.append(Rename(entry.node, key))
            return
        text = self.source.text_of(entry.node)
        self.changes.append(Replace(entry.node, Template(text.replace(entry.key, key))))

    def _idle(self, item: ast.Dict | GroupEntry) -> None:
        """Take away a group that trains nothing, or an entry that does nothing."""
        if isinstance(item, ast.Dict) or isinstance(item.node, ast.keyword):
            self.changes.append(Delete(item if isinstance(item, ast.Dict) else item.node))
        else:
            self.changes += (Delete(item.node), Delete(item.value))

    def _filter(self, call: ast.Call) -> bool:
        """`filter(lambda p: p.requires_grad, X.parameters())` asks for what trainable_params() returns: keep X's call."""
        if self.new.flag is not None or not self.new.trainable or not _is_trainable_filter(call, self.old):
            return False
        if comments_in(self.source, self.source.start(call), self.source.end(call)):
            return False
        self.changes.append(Replace(call, template("$kept", kept=call.args[1])))
        return True


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]


def _different(nodes: Iterable[_Node]) -> list[_Node]:
    return list({id(node): node for node in nodes}.values())


def uses_names(found: ParametersArgument, framework: Framework) -> bool:
    """Tell whether parameters are picked by name, which differs between frameworks."""
    named = framework.facts.parameters.named
    named_calls = (call for call in found.accessors if isinstance(call.func, ast.Attribute) and call.func.attr == named)
    return found.name_attribute or (found.picks and any(named_calls))


def _is_trainable_filter(call: ast.Call, names: Parameters) -> bool:
    if not (isinstance(call.func, ast.Name) and call.func.id == "filter" and len(call.args) == 2 and not call.keywords):
        return False
    test, items = call.args
    if not (isinstance(test, ast.Lambda) and isinstance(test.body, ast.Attribute) and test.body.attr == names.flag):
        return False
    bound = [argument.arg for argument in test.args.args]
    is_item = isinstance(test.body.value, ast.Name) and bound == [test.body.value.id]
    is_accessor = (
        isinstance(items, ast.Call) and isinstance(items.func, ast.Attribute) and items.func.attr == names.trainable
    )
    return is_item and is_accessor


_ITERATE_ONCE: Final = frozenset(
    ("list", "tuple", "set", "frozenset", "filter", "map", "iter", "sorted", "enumerate", "zip", "chain",
     "from_iterable", "sum", "any", "all", "min", "max", "extend", "dict", "OrderedDict")
)  # fmt: skip
"""Functions that iterate over their argument once."""


def needs_list(module: Module, node: ast.expr, optimizer: ast.Call) -> bool:
    """Tell whether the code around an expression takes it for a list, or iterates over it more than once.

    `optimizer` is the call whose parameters the expression gives; optimizers iterate over them once.
    """
    seen: set[int] = set()
    while id(node) not in seen:
        seen.add(id(node))
        parent = module.parent(node)
        if isinstance(parent, ast.keyword):
            parent = module.parent(parent)
        if isinstance(parent, ast.Call):
            return parent is not optimizer and called(parent) not in _ITERATE_ONCE
        if isinstance(parent, ast.IfExp) and parent.test is not node:
            node = parent
        elif isinstance(parent, ast.Assign | ast.AnnAssign):
            use = _only_use(module, parent)
            if use is None:
                return True
            node = use
        else:
            return not isinstance(parent, ast.Starred | ast.For | ast.comprehension | ast.Dict | ast.AugAssign)
    return True


def _only_use(module: Module, statement: ast.Assign | ast.AnnAssign) -> ast.expr | None:
    """The one place that reads what a statement assigns, if it does so as often as the statement runs."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    variable = module.variable(targets[0]) if len(targets) == 1 else None
    binding = binding_at(module, variable, targets[0]) if variable is not None else None
    if variable is None or binding is None or variable.grows:
        return None
    uses = module.uses_of(variable, binding)
    return uses[0] if len(uses) == 1 and _loops(module, uses[0]) == _loops(module, statement) else None


def _loops(module: Module, node: ast.AST) -> list[ast.AST]:
    """The loops and functions around a place."""
    kinds = (ast.For, ast.AsyncFor, ast.While, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return [item for item in module.ancestors(node) if isinstance(item, kinds)]
