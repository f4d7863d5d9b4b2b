"""All plain steps of a file whose target is torch or TensorFlow. Models stay as they are; what remains is said."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from optmap.diagnostics import STEP_NOT_PLAIN, STEP_REWRITTEN
from optmap.mapping.model import Framework, MappingSet
from optmap.source.changes import Change, Delete
from optmap.source.model import Module
from optmap.source.names import Interest, collect
from optmap.source.scopes import Names, Reference, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport, spell_path
from optmap.translate.discover.holders import Finder
from optmap.translate.discover.sites import Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.outcome import StepOutcome
from optmap.translate.steps.read.plan import FIELDS, Plan
from optmap.translate.steps.read.targets import Chain, Step, model_calls
from optmap.translate.steps.write.fresh_names import free, identifiers, report
from optmap.translate.steps.write.splice import Splicer, Words

_SILENT: Final = frozenset(
    {"trainable_variables", "trainable_weights", "summary", "build", "load_weights", "save_weights"}
)
"""What may be asked of a Keras model without its computing anything."""


def rewrite_steps(
    source: Source, sites: Sites, tables: MappingSet, options: Options, finder: Finder, steps: Sequence[Step],
    findings: list[Finding],
) -> StepOutcome:  # fmt: skip
    """Return the edits of all steps."""
    return _Retarget(source, sites, tables, options, finder, findings).run(steps)


class _Retarget:
    def __init__(
        self,
        source: Source,
        sites: Sites,
        tables: MappingSet,
        options: Options,
        finder: Finder,
        findings: list[Finding],
    ) -> None:
        self.source = source
        self.sites = sites
        self.tables = tables
        self.target = options.target
        self.finder = finder
        self.findings = findings
        self.used = identifiers(source.tree)
        self.needed: list[NewImport] = []
        self.changes: list[Change] = []
        self.touched: set[int] = set()
        self.gone: list[ast.expr] = []
        self.done: list[Step] = []

    def run(self, steps: Sequence[Step]) -> StepOutcome:
        framework = steps[0].event.site.api.framework
        for step in steps:
            words = self._words(step)
            if words is None:
                message = f"left as it is, because the file binds '{self.target}' to something else"
                self.findings.append(Finding(STEP_NOT_PLAIN, message, step.event.call))
                continue
            self._write(step, words)
            self.done.append(step)
            message = f"the step of {step.holder} was rewritten{self._mode(step)}"
            self.findings.append(Finding(STEP_REWRITTEN, message, step.event.call))
        if not self.done:
            return StepOutcome(self.findings)
        self._drop_functions()
        stays = list(self._remains(framework))
        report(self.findings, stays, [], str(framework))
        return StepOutcome(self.findings, self.changes, self.needed, self.gone)

    def _words(self, step: Step) -> Words | None:
        made = ""
        path = self.target.facts.steps.tape
        if path is not None:
            at = step.event.ancestors[-1]
            assert isinstance(at, ast.expr | ast.stmt)
            spelling = spell_path(Module.of(self.source), path, self.target.facts.called(path), at)
            if spelling is None:
                return None
            if spelling.needs is not None:
                self.needed.append(spelling.needs)
            made = spelling.text
        tape, gradients, loss = (free(name, self.used, keep=True) for name in ("tape", "grads", "loss"))
        return Words(tape, gradients, loss, made, self.target.facts.parameters.trainable)

    def _write(self, step: Step, words: Words) -> None:
        if step.reader is not None:
            changes = NameChanges()
            step.reader.drop_flags(changes)
            self.changes += changes.changes
            self.touched |= changes.touched.keys()
        splicer = Splicer(self.source, step, words)
        if step.called is not None:
            splicer.called(step.called)
        elif step.plan is not None and step.plan.head is not None:
            splicer.taped(step.plan, [model for model in step.plan.toggled if self._used_elsewhere(step.plan, model)])
            self.gone += (item.context_expr.func for item in step.plan.head.items)  # type: ignore[attr-defined]
        elif step.plan is not None:
            nodes = [*step.plan.region, *([] if step.plan.region else [step.plan.value])]
            calls = model_calls(nodes, step.flagged)
            self.touched |= set(map(id, calls))
            splicer.flag(calls)
            splicer.stepped(step.plan)
        self.changes += splicer.changes

    def _mode(self, step: Step) -> str:
        """A torch model is in training mode from the start, others are not: say so where the file does not set the mode."""
        start = self.target.facts.models.start
        if start is None:
            return ""
        if step.called is not None and b"set_train" not in self.source.body:
            said = "the file never calls set_train()"
        elif step.plan is not None and not step.plan.toggled:
            said = "its model is not told training=True"
        else:
            return ""
        return f"; {said}, so that it trains in inference mode, while {start}"

    def _used_elsewhere(self, plan: Plan, model: Chain) -> bool:
        """Tell whether the file may call a Keras model outside the step, where it is not in training mode by itself."""
        assert plan.head is not None
        inside = {id(node) for node in ast.walk(plan.head)}
        taken = [item.args[0] for item in self.source.nodes if _is_applied(item)]  # type: ignore[attr-defined]
        inside |= {id(node) for item in taken for node in ast.walk(item)}
        for reference in self.finder.names.references:
            word, node = model[-1], reference.node
            parent = reference.ancestors[-1] if reference.ancestors else None
            if (
                word not in reference.chain
                or id(node) in inside
                or not isinstance(getattr(node, "ctx", None), ast.Load)
            ):
                continue
            rest = reference.chain[reference.chain.index(word) + 1 :]
            given = isinstance(parent, ast.Call | ast.keyword | ast.Starred)
            told = isinstance(parent, ast.Call) and parent.func is node and _trains(parent)
            if (rest and rest[0] not in _SILENT) or (not rest and given and not told):
                return True
        return False

    def _drop_functions(self) -> None:
        """Gradient functions that nothing uses any more go away."""
        made: dict[int, list[Step]] = {}
        for step in self.done:
            if step.called is not None and step.called.made.statement is not None:
                made.setdefault(id(step.called.made.statement), []).append(step)
            elif step.called is not None:
                self.gone.append(step.called.made.call.func)
        for steps in made.values():
            called = steps[0].called
            assert called is not None
            assert called.made.statement is not None
            block = self._block(called.made.statement)
            if self._uses(called.made.statement, called.made.scope) == len(steps) and len(block) > 1:
                self.changes.append(Delete(called.made.statement, blank_lines=True))
                self.gone.append(called.made.call.func)

    def _uses(self, statement: ast.Assign, scope: Scope) -> int:
        """How often the file reads what a statement assigns."""
        chain = chain_of(statement.targets[0]) or ("",)
        uses: Iterable[ast.AST] = self.source.nodes
        if chain[0] != "self":
            found = self.finder.names.uses.get(chain[0], ())
            uses = [node for node, place in found if place.owner(chain[0]) is scope.owner(chain[0])]
        return sum(
            isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load)
            and (node.attr if isinstance(node, ast.Attribute) else node.id) == chain[-1]
            for node in uses
        )  # fmt: skip

    def _block(self, statement: ast.stmt) -> list[ast.stmt]:
        blocks = (getattr(node, field, None) for node in self.source.nodes for field in FIELDS)
        return next((block for block in blocks if isinstance(block, list) and statement in block), [])

    def _remains(self, framework: Framework) -> Iterator[tuple[ast.expr, str | None]]:
        """What else of the file is the source framework's."""
        done: list[ast.AST] = [site.node for site in self.sites.calls]
        done += [*(item.node for item in self.sites.mentions if isinstance(item.node, ast.AST)), *self.gone]
        known = {id(inner) for node in done for inner in ast.walk(node)}
        roots = frozenset(self.tables.roots[framework])
        names = collect(self.source, Interest(roots, tuple(roots), string_hint="\0"))
        for reference in names.references:
            if id(reference.node) not in known and _is_of(names, reference, roots):
                yield reference.node, None
        models, flag = self.target.facts.models, framework.facts.models.flag
        words = models.lacking.get(framework, {})
        for node in self.source.nodes:
            if not isinstance(node, ast.Call) or id(node) in known or id(node) in self.touched:
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr in words:
                yield node, f".{node.func.attr}(): {words[node.func.attr]}"
            elif flag is not None and any(word.arg == flag for word in node.keywords):
                yield node, f"{flag}=...: {models.mode}"


def _is_of(names: Names, reference: Reference, roots: frozenset[str]) -> bool:
    """Tell whether a reference leads to one of the packages, and is no mere alias of a module."""
    parent = reference.ancestors[-1] if reference.ancestors else None
    alias = isinstance(parent, ast.Assign) and parent.value is reference.node
    paths = names.paths(reference.chain, reference.scope)
    return not alias and any(path is not None and path.partition(".")[0] in roots for path in paths)


def _trains(call: ast.Call) -> bool:
    """`model(x, training=True)`."""
    values = [word.value for word in call.keywords if word.arg == "training"]
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)


def _is_applied(node: ast.AST) -> bool:
    """`optimizer.apply_gradients(...)`."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply_gradients"
    return named and isinstance(node, ast.Call) and bool(node.args)
