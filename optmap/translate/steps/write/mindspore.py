"""All plain steps of a file at once: names are chosen, the table's names are rewritten, and the edits put together."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from optmap.diagnostics import STEP_NOT_PLAIN, STEP_REWRITTEN
from optmap.mapping.frameworks import Facts, fill
from optmap.mapping.steps import load_graph
from optmap.source.changes import Change, Delete
from optmap.source.model import Module, Variable
from optmap.source.syntax import inner
from optmap.source.text import Source
from optmap.translate.constructors.spelling import NewImport, spell_path
from optmap.translate.discover.events import Event, Training
from optmap.translate.findings import Finding
from optmap.translate.steps.names.references import NameRewriter
from optmap.translate.steps.outcome import StepOutcome
from optmap.translate.steps.read.compiled import callee, no_longer_compiled
from optmap.translate.steps.read.graph import GraphPlan
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.translate.steps.write.boundary import conversions
from optmap.translate.steps.write.clips import called_in, calls_of, spelled_clips
from optmap.translate.steps.write.flags import drop_flags, report_rest
from optmap.translate.steps.write.forward import StepNames, ready_change, step_changes
from optmap.translate.steps.write.fresh_names import UsedNames, free, report
from optmap.translate.steps.write.graph import GraphWriter
from optmap.translate.steps.write.leftovers import without_leftovers
from optmap.translate.steps.write.saved import saved_states
from optmap.translate.unit import Unit, Vetoes, alone


def rewrite_steps(
    unit: Unit, training: Training, plans: Sequence[PlainStep], findings: list[Finding], vetoes: Vetoes,
    left: Sequence[Event] = (), changed: Collection[int] = (),
) -> StepOutcome:  # fmt: skip
    """Return the edits of all plans, and of what the table knows of the rest of the file but for what is vetoed.

    Steps that are `left` as they are must not meet what is rewritten outside the others; nodes that are `changed` are
    the target's already. Raises NotPlain.
    """
    source, sites = unit.source, unit.sites
    framework = plans[0].event.site.api.framework
    # What stands inside the optimizers' own calls, and what has a message of its own, is not looked at again.
    done: list[ast.AST] = [site.node for site in sites.calls]
    done += [item.node for item in sites.mentions if isinstance(item.node, ast.AST)]
    done += [node for plan in plans for node in (*plan.gone, plan.step, *(clip.statement for clip in plan.clips))]
    heads = [item.context_expr for plan in plans if plan.head is not None for item in plan.head.items]
    done += heads
    names = NameRewriter(source, unit.tables, (framework, unit.options.target), training, done)
    vetoed = [node for node in (*names.references(), *training.module.nodes(ast.Call)) if alone(node) in vetoes]
    names.done.update(map(id, vetoed))
    names.done.update(changed)
    converted = conversions(unit, training, plans, left)
    names.done.update(*(item.kept for item in converted))
    bridged = frozenset(id(name) for item in converted for name in item.names)
    changes = names.run(_tensors(training.module, plans), _forward_parts(plans), bridged)
    for node in vetoed:
        changes.stay(node, f"{ast.unparse(node)[:40]}: {vetoes[alone(node)].reason}")
    check_world(names)
    own = {id(node) for part in _forward_parts(plans) for node in inner(part)}
    if left and any(id(node) not in own for node in changes.gone):
        raise NotPlain(Why.OTHER_LEFT, line=left[0].call.lineno)
    for plan in plans:
        if plan.head is not None:
            drop_flags(plan, changes)
    if heads:
        report_rest(names, framework, unit.options.target)
    saved = list(saved_states(names, training, framework.facts, unit.options.target.facts))
    findings += (said for said, _ in saved if said is not None)
    rewritten = without_leftovers(names, framework.facts)
    rewritten += (item.change for item in converted)
    needed, gone = list(changes.needed), list(changes.gone)
    needed += (new for item in converted for new in item.needed)
    gone += (head.func for head in heads if isinstance(head, ast.Call))
    rewritten += map(Delete, names.compiled)
    gone += map(callee, names.compiled)
    findings += no_longer_compiled(training.module, framework)
    ready: dict[int, Change] = {}
    used = UsedNames(Module.of(source))
    for plan in plans:
        chosen = _choose(source, plan, used, needed, unit.options.target.facts)
        if chosen is None:
            message = "left as it is, because the file binds 'mindspore' to something else"
            findings.append(Finding(STEP_NOT_PLAIN, message, plan.event.call))
            continue
        rewritten += step_changes(source, plan, chosen)
        gone += (node for clip in plan.clips for node in called_in(clip))
        for item in plan.ready:
            ready.setdefault(id(item.statement), ready_change(item))
        findings.append(Finding(STEP_REWRITTEN, f"the step of {plan.holder.text} was rewritten", plan.event.call))
    report(findings, changes.stays, changes.notes, str(framework))
    settled = tuple(node for plan in plans for clip in plan.clips for node in calls_of(clip))
    settled += tuple(node for _, node in saved)
    return StepOutcome(findings, [*rewritten, *ready.values()], needed, gone, settled, bridged)


def _forward_parts(plans: Sequence[PlainStep]) -> list[ast.AST]:
    """What the forward functions hold; the loss of a tape is only a name."""
    nodes = (node for plan in plans for node in (*plan.region, plan.value))
    return [node for node in nodes if hasattr(node, "lineno")]


def check_world(names: NameRewriter) -> None:
    """Raises NotPlain where the models, the losses or the steps use what the table does not know."""
    names.refuse_references()
    stays = {id(node) for node, _ in names.changes.stays}
    refused = [(id(node) not in stays, getattr(node, "lineno", 0), used) for node, used in names.changes.refused]
    for _, line, used in sorted(refused):  # what stays of the source framework is the cause of others
        raise NotPlain(Why.NOT_IN_TABLE, line=line, used=used)


def _choose(
    source: Source, plan: PlainStep, used: UsedNames, needed: list[NewImport], facts: Facts
) -> StepNames | None:
    """Choose names that the file does not use, and the spelling of value_and_grad. Raises NotPlain."""
    module = Module.of(source)
    spelling = spell_path(module, "mindspore.value_and_grad", "mindspore", plan.hoist)
    if spelling is None:
        return None
    needed += [spelling.needs] if spelling.needs is not None else []
    clips = spelled_clips(module, facts, (*plan.clips, *plan.own_clips), needed)
    forward, function = free("forward_fn", used), free("grad_fn", used)
    kept = plan.backward.targets[0] if isinstance(plan.backward, ast.Assign) else None
    gradients = kept.id if isinstance(kept, ast.Name) else free("grads", used, keep=True)
    loss = plan.loss or free("loss", used, keep=True)
    total = free("total", used) if plan.loop is not None else ""
    sums = fill(facts.steps.shown.total, total=total, grads=gradients) if total else ""
    return StepNames(forward, function, gradients, loss, spelling.text, clips, total, sums)


def _tensors(module: Module, plans: Sequence[PlainStep]) -> list[Variable]:
    """The variables that hold tensors which a forward function gives back."""
    names = ((plan, name) for plan in plans for name in (*((plan.loss,) if plan.loss else ()), *plan.returned))
    found = (module.bound(name, at=plan.event.call) for plan, name in names)
    return [variable for variable in found if variable is not None]


def rewrite_graph(
    unit: Unit, training: Training, graph: tuple[GraphPlan, Event], findings: list[Finding]
) -> StepOutcome:
    """Return the edits of a TensorFlow 1 graph. Raises NotPlain."""
    source, sites = unit.source, unit.sites
    plan, event = graph
    pair = (event.site.api.framework, unit.options.target)
    spelling = spell_path(Module.of(source), "mindspore.value_and_grad", "mindspore", plan.layers[0].call)
    if spelling is None:
        raise NotPlain(Why.NAME_TAKEN, name="mindspore")
    module, used = spelling.text.removesuffix(".value_and_grad"), UsedNames(Module.of(source))
    chosen = (free("grad_fn", used), free("grads", used, keep=True), free("loss", used, keep=True))
    table = load_graph()
    written = GraphWriter(source, plan, table, module, *chosen).write()
    done = list(written.done)
    done += [site.node for site in sites.calls]
    names = NameRewriter(source, unit.tables, pair, training, done)
    changes = names.run([], [])
    check_world(names)
    needed = [*changes.needed, *([spelling.needs] if spelling.needs is not None else [])]
    findings.append(Finding(STEP_REWRITTEN, f"the graph that {plan.optimizer} trains was rewritten", event.call))
    report(findings, changes.stays, changes.notes, str(pair[0]))
    left = {id(node) for node, _ in changes.stays}
    gone = [*changes.gone, *(node for node in names.references() if id(node) in plan.paths and id(node) not in left)]
    return StepOutcome(findings, [*written.changes, *changes.changes], needed, gone)
