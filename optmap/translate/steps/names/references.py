"""What a script uses beside the optimizer, as far as the table knows it: layers, losses, tensors, base classes, modes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from weakref import proxy

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.steps import Pair, load_table
from optmap.mapping.values import read_value
from optmap.source.calls import comments_in
from optmap.source.model import Variable
from optmap.source.syntax import Function, argument_values, inner, is_alias
from optmap.source.templates import CallTemplate, NewArgument, Template, copied
from optmap.source.text import Source
from optmap.translate.constructors.spelling import spell_path
from optmap.translate.discover.events import Training, model_uses
from optmap.translate.discover.trained import constructed_with
from optmap.translate.parameters.reader import read_parameters
from optmap.translate.steps.names.calls import SETTLED, Callee, Stays, bound, rewrite_call
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.classes import Classes
from optmap.translate.steps.names.kinds import Kind, Kinds
from optmap.translate.steps.names.tensors import PATH, TensorRewriter, check_outside, completed, filled
from optmap.translate.steps.names.unrecorded import without_contexts
from optmap.translate.steps.names.world import World
from optmap.translate.steps.read.compiled import compiling

_PLAIN = ("train", "eval", "parameters", "modules")
"""Methods of torch's models whose counterparts do the same."""
_NUMPY_TYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool_")


class NameRewriter:
    """Rewrites the references of one source framework, given the names of the file and its models."""

    def __init__(
        self, source: Source, tables: MappingSet, pair: tuple[Framework, Framework], training: Training,
        done: Collection[ast.AST],
    ) -> None:  # fmt: skip
        self.source = source
        self.training = training
        self.module = training.module
        self.table = load_table(*pair)
        self.roots = frozenset(tables.roots[pair[0]])
        self.facts = pair[1].facts
        self.recording = pair[0].facts.steps.recording
        self.called = pair[1].facts.models.called
        self.methods = pair[1].facts.models.methods.get(pair[0], {})
        self.compiled = compiling(training.module, pair[0])
        self.done = {id(item) for node in (*done, *self.compiled) for item in inner(node)}
        self.trainable = pair[1].facts.parameters.trainable
        sites = [site for holder in training.holders for site in holder.sites]
        given = [(site, node) for site in sites if (node := constructed_with(site)) is not None]
        found = [read_parameters(source, node, site.api.framework) for site, node in given]
        self.trained = {id(call) for item in found for call in (*item.accessors, *item.unnamed)}
        self.changes = NameChanges()
        self.models: dict[int, tuple[str, str]] = {}

    def run(
        self, tensors: Iterable[Variable], recorded: Iterable[ast.AST], bridged: Collection[int] = ()
    ) -> NameChanges:
        """`tensors` are variables that hold results of a rewritten step, `bridged` names (ids) that are given the target's.

        `recorded` are the parts of the file that gradients are taken of. They, the models, and what these call are a closed
        world: what no row knows is refused there.
        """
        wanted = [node for node in self.references() if id(node) not in self.done]
        for node in wanted:
            self._base(node)
        weak = proxy(self)  # no cycle, which would keep the tree
        self.kinds = Kinds(
            self.module, self.table, self.roots, partial(NameRewriter.path, weak), self.models, tensors, bridged
        )
        owners = [node for node in self.module.nodes(ast.ClassDef) if id(node) in self.models]
        methods = frozenset(own for own, _ in self.models.values())
        self.world = World(self.module, self.table, self.kinds, [*owners, *recorded], methods)
        self.classes = Classes(self.module, self.table, self.kinds, self.references())
        rewriter = TensorRewriter(
            self.source,
            self.kinds,
            self.world,
            self.changes,
            self.done,
            partial(NameRewriter._spell, weak),
            self.methods,
            self.classes,
        )
        self.rewriter = rewriter
        self.fits = rewriter.fits
        for node in wanted:
            self._reference(node)
        self._rename_methods()
        self._modes()
        self.classes.rewrite(self.changes)
        rewriter.run()
        without_contexts(self, self.recording, self.facts.steps.shown.stop)
        self.world.check(self.changes.refuse, lambda node: id(node) in self.done)
        return self.changes

    def carry(self, roots: Sequence[ast.AST], paused: Sequence[ast.With] = ()) -> NameChanges:
        """What becomes of the names in code whose models and losses stay what they are.

        Contexts in which the tape is `paused` are written with the step.
        """
        weak = proxy(self)  # no cycle, which would keep the tree
        self.done |= {id(node) for item in paused for one in item.items for node in inner(one)}
        self.changes = NameChanges()
        self.kinds = Kinds(self.module, self.table, self.roots, partial(NameRewriter.path, weak), ())
        self.world = World(self.module, self.table, self.kinds, (), frozenset(), roots)
        self.world.settled |= set(map(id, paused))
        spell = partial(NameRewriter._spell, weak)
        self.classes = Classes(self.module, self.table, self.kinds, ())
        rewriter = TensorRewriter(
            self.source, self.kinds, self.world, self.changes, self.done, spell, self.methods, self.classes
        )
        self.rewriter = rewriter
        self.fits = rewriter.fits
        for node in self.references():
            if node in self.world and id(node) not in self.module.annotations and id(node) not in self.done:
                self._reference(node)
        rewriter.ask(node for node in self.world.nodes.values() if isinstance(node, ast.Attribute))
        self.world.check(self.changes.refuse, lambda node: isinstance(node, ast.FunctionDef) or id(node) in self.done)
        return self.changes

    def refuse_references(self) -> None:
        """What stays of the source framework must not stand in the closed world; its models, nowhere in the file."""
        packages = {path.rpartition(".")[0] + "." for path in self.table.bases}
        for node, reason in self.changes.stays:
            path = self.path(node)
            layer = path is not None and any(path.startswith(package) for package in packages)
            layer = layer and path not in self.table.bases and not str(path).startswith(self.table.open)
            if (node in self.world or layer) and id(node) not in self.module.annotations:
                self.changes.refuse(node, f"{ast.unparse(node)}{f' ({reason})' if reason else ''}")

    def references(self) -> list[ast.expr]:
        """Every reference to the source framework."""
        found = [reference.node for reference in self.module.references(self.roots).references]
        return [*found, *self._chosen()]

    def _chosen(self) -> list[ast.expr]:
        """The uses of `Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor`: both are one to the target."""
        names = (node.value for node in self.module.nodes(ast.Assign) if isinstance(node.value, ast.IfExp))
        held = {self.module.holder(value) for value in names} - {None}
        uses = [
            use for variable in held if variable is not None and len(variable.bindings) == 1 for use in variable.uses
        ]
        return [use for use in uses if isinstance(use, ast.Name) and self.path(use) is not None]

    def path(self, node: ast.expr) -> str | None:
        paths = {self.table.called.get(path or "", path) for path in self._paths(node)}
        if len(paths) != 1:
            return None
        (path,) = paths
        if path is not None and path.partition(".")[0] in ("keras", "tf_keras"):
            path = "tensorflow.keras" + path[path.index("keras") + 5 :]
        for version in ("compat.v1.", "compat.v2."):
            if path is not None and path.startswith(f"tensorflow.{version}"):
                path = f"tensorflow.{path.removeprefix(f'tensorflow.{version}')}"
        return self.table.called.get(path, path) if path is not None else None

    def _paths(self, node: ast.expr) -> Collection[str | None]:
        """The import paths that an expression may stand for, each way that a condition may choose included."""
        paths = self.module.paths(node)
        variable = self.module.variable(node) if paths == {None} and isinstance(node, ast.Name) else None
        (binding, *others) = variable.bindings if variable is not None and variable.bindings else (None,)
        if binding is None or others or not isinstance(binding.value, ast.IfExp):
            return paths
        return {
            path for item in (binding.value.body, binding.value.orelse) for path in self.module.paths(item) or (None,)
        }

    def _reference(self, node: ast.expr) -> None:
        path, parent = self.path(node), self.module.parent(node)
        if path is None or path.partition(".")[0] not in self.roots or is_alias(parent, node):
            return
        if id(node) in self.changes.touched or self.changes.leaves(node):
            return
        call = self.module.call_of(node)
        if path in self.table.callables and call is not None:
            self._call(node, call, self.table.callables[path])
        elif path in self.table.values and isinstance(getattr(node, "ctx", None), ast.Load) and call is None:
            if self._given_to_what_stays(node) or isinstance(parent, ast.IfExp):
                self.changes.stay(node, None)
            else:
                self._replace(node, self.table.values[path])
        elif self.classes.is_asked(node) and (row := self.classes.row(node)) is not None:
            self._replace(node, row.other.path)
        elif path in self.table.bases and id(node) in self.module.annotations:
            self._replace(node, self.table.bases[path][1].path)
        else:
            self.changes.stay(node, None)

    def _given_to_what_stays(self, node: ast.expr) -> bool:
        """`torch.sparse_coo_tensor(..., dtype=torch.int64)`: a function that stays takes nothing of another framework."""
        outer = next((item for item in self.module.ancestors(node) if not isinstance(item, ast.keyword)), None)
        return isinstance(outer, ast.Call) and self.changes.leaves(outer.func)

    def spelled(self, path: str, node: ast.expr) -> str | None:
        """How a path of the target is written at a place, with the import that this needs; None where it cannot be."""
        return self._spell(path, node)

    def _spell(self, path: str, node: ast.expr, conventional: str | None = None) -> str | None:
        """How a path, of the target where no other framework is given, is written at a place."""
        spelling = spell_path(self.module, path, conventional or self.facts.called(path), node)
        if spelling is None:
            return None
        if spelling.needs is not None:
            self.changes.needed.append(spelling.needs)
        return spelling.text

    def _call(self, node: ast.expr, call: ast.Call, pairs: Sequence[Pair]) -> None:
        """The first row that takes its arguments says what a call becomes."""
        before, reason = len(self.changes.needed), ""
        for pair in pairs:
            try:
                (self._write if pair.other.text else self._rewrite)(node, call, pair)
            except Stays as error:
                del self.changes.needed[before:]
                reason = reason or str(error)
                continue
            self.changes.gone.append(node)
            if pair.note is not None or pair.warning is not None:
                self.changes.notes.append((node, pair))
            return
        self.changes.stay(node, reason)

    def _rewrite(self, node: ast.expr, call: ast.Call, pair: Pair) -> None:
        """A call becomes one of another function or class. Raises Stays."""
        if pair.makes_model and any(self.kinds.of(item).kind is Kind.ARRAY for item in argument_values(call)):
            raise Stays("it is given a numpy value; write int(...) or float(...)")
        before = len(self.changes.needed)
        if call.args and pair.row.takes != "any" and self.kinds.of(call.args[0]).type in ("int", "bool"):
            raise Stays(f"of {self.kinds.of(call.args[0]).type} tensors")
        callee, partial = self._spelled(pair.other.path, node), "functools.partial"
        if any(item.mark == "call" for item in pair.other.parameters or ()):
            partial = self._spelled("functools.partial", node, "functools")
        values = tuple((name, self._spelled(text, node) if "." in text else text) for name, text in pair.writes.items())
        how = Callee(Template(callee), None, partial, values, self.table.aliases)
        rewritten = rewrite_call(self.source, call, pair, how, self.fits)
        if not rewritten.partial:
            own = self.changes.needed[before:]
            self.changes.needed[before:] = [item for item in own if item.path != "functools"]
        if rewritten.new is None:
            self.changes.call(call, callee)
        else:
            self.changes.replace(call, rewritten.new)
        for value in (value for name, value in rewritten.kept if name == "dtype"):
            self._dtype(value)
        self.done.update(id(item) for value in rewritten.dropped for item in inner(value))

    def _write(self, node: ast.expr, call: ast.Call, pair: Pair) -> None:
        """A call becomes other code. Raises Stays."""
        given = bound(self.source, call, pair, self.fits)
        named = {name: values for name, values in given.items() if f"${name}" in pair.other.text}
        idle = {item.name for item in pair.one.parameters or () if item.mark == "execution"}
        idle |= {name for name, wanted in pair.row.only.items() if wanted in SETTLED}
        lost = given.keys() - named.keys() - _neutral(given, pair) - idle
        missing = [item.tie for item in pair.one.parameters or () if item.tie and item.tie not in given]
        code = completed(pair.other.text, given, pair)
        if any(f"${name}" in code for name in missing):
            raise Stays("it is given too little")
        if lost or comments_in(self.source, self.source.start(call), self.source.end(call)):
            raise Stays("its arguments have no counterpart")
        if "parameter" in pair.row.only.values():
            named = {name: self._changed(call, values) for name, values in named.items()}
        text = PATH.sub(lambda match: self._spelled(match[0], node), code)
        self.changes.replace(call, filled(text, named))

    def _changed(self, call: ast.Call, values: Sequence[ast.expr]) -> Sequence[ast.expr]:
        """What a call that changes a parameter is given, without `.data`. Raises Stays."""
        if not isinstance(self.module.parent(call), ast.Expr):
            raise Stays("its result is used")
        check_outside(self.module, self.world, call)
        return [self.rewriter.without_data(item) for item in values]

    def _spelled(self, path: str, node: ast.expr, conventional: str | None = None) -> str:
        """How a path is written at a place. Raises Stays."""
        text = self._spell(path, node, conventional)
        if text is None:
            raise Stays("the file binds the names that it needs to something else")
        return text

    def _dtype(self, value: ast.expr) -> None:
        """`dtype=np.float32`: MindSpore takes its own types alone, and has one of each of these names."""
        root, _, name = str(next(iter(self.module.paths(value)), "")).partition(".")
        if root == "numpy" and name in _NUMPY_TYPES:
            text = self._spell(f"mindspore.{name}", value)
            if text is not None:
                self.changes.replace(value, Template(text))

    def _replace(self, node: ast.expr, path: str) -> None:
        text = self._spell(path, node)
        if text is None:
            self.changes.stay(node, "the file binds the names that it needs to something else")
            return
        self.changes.replace(node, Template(text))
        self.changes.gone.append(node)

    def _base(self, base: ast.expr) -> None:
        """A class of the file becomes a model of the target, and those that derive from it."""
        path, owner = self.path(base), self.module.parent(base)
        if (
            path is None
            or path not in self.table.bases
            or not isinstance(owner, ast.ClassDef)
            or base not in owner.bases
        ):
            return
        one, other = self.table.bases[path]
        family = self.module.subclasses(owner)
        if any(item.name == other.method for cls in family for item in _methods(cls)):
            self.changes.stay(base, f"{owner.name} has a method {other.method} already")
            self.changes.refuse(base, f"{owner.name}, which has a method {other.method} already")
            return
        self._replace(base, other.path)
        self.models.update((id(cls), (one.method, other.method)) for cls in family)

    def _rename_methods(self) -> None:
        """`forward` becomes `construct` where models define it, and where they call it of themselves."""
        for owner in self.module.nodes(ast.ClassDef):
            own, new = self.models.get(id(owner), ("", ""))
            for function in _methods(owner):
                if function.name == own:
                    self.changes.rename_to(function, new)
        for name in {own for own, _ in self.models.values()}:
            for node in self.module.attributes(name):
                own, new = self.models.get(id(self._own_class(node.value)), ("", ""))
                if own == name and id(node) not in self.changes.touched:
                    self.changes.rename_to(node, new)

    def _own_class(self, node: ast.expr) -> ast.ClassDef | None:
        """The class of the method that `self` or `super()` stands in."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
            return self.module.class_of(node)
        return self.module.self_class(node)

    def _modes(self) -> None:
        """`model.train()` and `model.eval()` of models that a translated optimizer trains, or that the file makes."""
        trained = {id(node) for node in model_uses(self.training)}
        for node in self.module.attributes("load_state_dict"):
            if id(node.value) in trained and self._follows_steps(node):  # as MindSpore 2.10 has it
                said = ".load_state_dict() between steps: what is loaded after a step is trained no more"
                self.changes.refuse(node, said)
        for call in self.module.nodes(ast.Call):
            function = call.func
            if not isinstance(function, ast.Attribute) or function.attr not in self.methods or self._is_settled(call):
                continue
            word, bare = function.attr, not call.args and not call.keywords
            sure = id(function.value) in trained or self._is_model(function)
            if not sure or not ((word in _PLAIN and bare) or word == "train"):
                self.changes.stay(call, f".{word}(): {self.called} has {self.methods[word]}")
                continue
            own = self.table.models.get(word)
            kept = word != "parameters" or self._may_keep(function.value)
            if own is not None and kept and self._counterpart(call, word) != self.trainable:
                if self._keeps_idle():
                    self.changes.refuse(call, f".{word}(), as {self.called} counts what affine=False leaves out")
                self.changes.replace(call, filled(own.other.text, {"x": [function.value]}))
                continue
            self.changes.rename_to(function, self._counterpart(call, word))
            self.done.update(id(item) for item in inner(call) if bare)
            if word == "eval":
                self.changes.replace(call, CallTemplate(copied(function), (NewArgument(None, Template("False")),)))

    def _may_keep(self, model: ast.expr) -> bool:
        """Tell whether the target may count statistics, which are no parameters, among a model's parameters."""
        made = [item for node in self.references() for item in self.table.callables.get(self.path(node) or "", ())]
        return self.kinds.of(model).kind is not Kind.MODEL or any(pair.row.statistics for pair in made)

    def _keeps_idle(self) -> bool:
        """Tell whether a layer of the file may have parameters in the target that it has not in the source."""
        calls = (self.module.parent(node) for node in self.references())
        return any(isinstance(call, ast.Call) and any(word.arg == "affine" for word in call.keywords) for call in calls)

    def _follows_steps(self, node: ast.AST) -> bool:
        """Tell whether a node may run after a step and before another: in a loop, or between calls that step."""
        if self._runs_in_loop(node):
            return True
        place = min((item.lineno for item in self._roots(node)), default=0)
        steps = [root for event in self.training.events for root in self._roots(event.call)]
        return any(item.lineno < place for item in steps) and any(item.lineno > place for item in steps)

    def _runs_in_loop(self, node: ast.AST, depth: int = 5) -> bool:
        looped = any(isinstance(item, ast.For | ast.AsyncFor | ast.While) for item in self.module.ancestors(node))
        function = self.module.function_of(node)
        calls = self.module.callers(function) if function is not None and depth else ()
        return looped or any(self._runs_in_loop(call, depth - 1) for call in calls or ())

    def _roots(self, node: ast.AST, depth: int = 5) -> list[ast.stmt]:
        """The statements of the module that run a node, as far as they are seen."""
        function = self.module.function_of(node)
        if function is not None:
            calls = self.module.callers(function) if depth else ()
            return [root for call in calls or () for root in self._roots(call, depth - 1)]
        outer = [
            item for item in (self.module.statement(node), *self.module.ancestors(node)) if isinstance(item, ast.stmt)
        ]
        return outer[-1:]

    def _is_model(self, function: ast.Attribute) -> bool:
        """Tell whether a method is that of a model, and the file does not define it itself."""
        value = self.kinds.of(function.value)
        own = value.owner is not None and self.module.attribute_of(value.owner, function.attr) is not None
        return value.kind is Kind.MODEL and not own

    def _counterpart(self, call: ast.Call, word: str) -> str:
        """What a method of models is called: optimizers are given the trainable parameters, whatever else is done takes all."""
        held = self.module.holder(call)
        given = held is not None and any(id(use) in self.done for use in held.uses)
        if word == "parameters" and (given or id(call) in self.trained):
            return self.trainable
        return self.methods[word].partition("(")[0]

    def _is_settled(self, call: ast.Call) -> bool:
        """Tell whether a call, or what it calls, is changed or reported already."""
        return any(id(node) in self.done or id(node) in self.changes.touched for node in (call, call.func))


def _neutral(given: Mapping[str, Sequence[ast.expr]], pair: Pair) -> set[str]:
    """The arguments that are given what is their default anyway."""
    defaults = {item.tie or item.name: item.default for item in pair.one.parameters or () if not item.required}
    found = {name: read_value(values[0]) for name, values in given.items() if name in defaults}
    return {name for name, value in found.items() if value.known and value.literal == defaults[name]}


def _methods(owner: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [item for item in owner.body if isinstance(item, Function)]
