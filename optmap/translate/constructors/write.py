"""A constructor call about which all is decided, as changes of the file and what is reported of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from optmap.diagnostics import NAME_TAKEN, NO_PARAMETERS
from optmap.mapping.plan import Inferred, Plan
from optmap.mapping.values import Value
from optmap.mapping.vocabulary import PARAMETERS
from optmap.source.changes import Change, Replace
from optmap.source.templates import CallTemplate
from optmap.source.text import Source
from optmap.translate.constructors.call import SiteCall
from optmap.translate.constructors.open import Left
from optmap.translate.constructors.reasons import CallReason, Subject
from optmap.translate.constructors.safety import unsafe_edit
from optmap.translate.constructors.spelling import spell
from optmap.translate.constructors.template import call_template
from optmap.translate.discover.sites import CallSite
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.translate.parameters.carried import carried_over
from optmap.translate.parameters.edits import parameter_changes
from optmap.translate.parameters.groups import ParametersArgument
from optmap.translate.unit import Member, Rewritten, Translation, Unit, Veto
from optmap.values import NamedTuple

if TYPE_CHECKING:
    from optmap.translate.constructors.loss_scale import Unscaled
    from optmap.translate.schedules.rates import Attached


class CallOutcome(NamedTuple):
    """What to report of a call, and how it is translated, if it is: `inside` are the changes of what its parameters hold.

    `given_up` are members of its group that have to be left as they are for its sake, `names` new names of schedules,
    `taken` all new names. With `unscaled` the loss of the file is scaled no more.
    """

    findings: tuple[Finding, ...]
    done: Translation | None = None
    inside: tuple[Change, ...] = ()
    given_up: tuple[tuple[Member, Veto], ...] = ()
    names: Mapping[tuple[int, str], str] = {}
    taken: Mapping[tuple[int, str], str] = {}
    unscaled: bool = False


class Decision(NamedTuple):
    """How a constructor call is translated, with what it was read as: `values` are those of its arguments.

    `attached` is what takes the place of its learning rate, `scaled` what becomes of a loss scale that the target lacks.
    `optimizers` are the ids of all constructor calls, `left` is what --todo leaves open.
    """

    site: CallSite
    call: SiteCall
    values: Sequence[Value]
    plan: Plan
    reasons: tuple[CallReason, ...]
    parameters: ParametersArgument | None
    attached: Attached | None
    scaled: Unscaled | None
    optimizers: Collection[int]
    left: Left


def reported(call: SiteCall, reasons: Iterable[CallReason]) -> tuple[Finding, ...]:
    """The reasons as findings, each at its argument."""
    return tuple(
        Finding(item.code, item.message, call.place(item.index), item.table, item.replacement, detail=item.detail)
        for item in reasons
    )


def write_call(unit: Unit, options: Options, made: Decision) -> CallOutcome:
    """The outcome for a call that is translated; a refusal where its text cannot be written."""
    source, site, plan = unit.source, made.site, made.plan
    findings = [*made.left.findings]
    inferred = _inferred(source, options, site, plan)
    if isinstance(inferred, Finding):
        if not options.todo:
            return CallOutcome((inferred,))
        findings.append(inferred)
        inferred = "..."  # which every constructor rejects
    spelling = spell(site, plan.target)
    if spelling is None:
        root = plan.target.module.paths[0].partition(".")[0]
        return CallOutcome((Finding(NAME_TAKEN, f"the file binds {root!r} to something else", site.node),))
    refusal = unsafe_edit(source, site, made.call.text, plan, made.optimizers)
    if refusal is not None:
        return CallOutcome((refusal,))
    own = Replace(site.node, _template(source, made, spelling.text, inferred))
    inside = _inside(source, made)
    findings += _parameter_findings(source, options, made)
    needed = (spelling.needs,) if spelling.needs is not None else ()
    change = Rewritten((site.node,), (own, *inside), needed, (site.callee, *made.left.gone))
    names: Mapping[tuple[int, str], str] = {}
    taken: Mapping[tuple[int, str], str] = {}
    if (scale := made.scaled) is not None:
        findings.append(scale.finding)
        taken = scale.names
        change = change._replace(changes=(*change.changes, *scale.changes), gone=(*change.gone, *scale.gone))
    if (rates := made.attached) is not None:
        findings += rates.findings
        names = rates.names
        change = change._replace(
            changes=(*change.changes, *rates.changes), needed=(*change.needed, *rates.needed),
            gone=(*change.gone, *rates.gone),
        )  # fmt: skip
    said = (*reported(made.call, _exact_reasons(unit, made, inside, inferred)), *findings)
    unscaled = made.scaled is not None and made.scaled.taken
    done = Translation(site, plan.target, change)
    return CallOutcome(said, done, inside, names=names, taken={**names, **taken}, unscaled=unscaled)


def _template(source: Source, made: Decision, callee: str, inferred: str | None) -> CallTemplate:
    written = made.left.written(call_template(source, made.call.text, made.values, made.plan, callee, inferred))
    if made.attached is None:
        return written
    rate, value = made.call.index_of("learning_rate"), made.attached.value
    given = (item._replace(value=value) if item.place == rate else item for item in written.arguments)
    return written._replace(arguments=tuple(given))


def _inside(source: Source, made: Decision) -> tuple[Change, ...]:
    """The changes of what the parameters hold."""
    if made.parameters is None or made.plan.target.parameters_argument is None:
        return ()
    return (*parameter_changes(source, made.parameters, made.plan, made.site.node), *made.left.changes)


def _parameter_findings(source: Source, options: Options, made: Decision) -> Iterable[Finding]:
    """What there is to say of the parameters argument."""
    argument = made.call.argument(PARAMETERS)
    if argument is None or made.call.index_of(PARAMETERS) in made.left.names:
        return ()
    if made.parameters is not None and made.plan.target.parameters_argument is not None:
        return carried_over(source, made.site, options.target, made.parameters, argument.span)
    from optmap.translate.parameters.advice import left_out

    return (left_out(source, argument.node, argument.span, made.site.api, made.plan.target),)


def _exact_reasons(
    unit: Unit, made: Decision, inside: Sequence[Change], inferred: str | None
) -> tuple[CallReason, ...]:
    """The reasons with advice on the decay filter in the words of the call, or none where it filters nothing."""
    reasons = made.reasons
    if all(reason.subject is not Subject.DECAY_FILTER for reason in reasons):
        return reasons
    from optmap.translate.parameters.advice import exact_advice, parameters_text
    from optmap.translate.parameters.normalization import normalizes_nothing

    if made.parameters is not None and normalizes_nothing(made.site, unit.tables, made.parameters):
        return tuple(reason for reason in reasons if reason.subject is not Subject.DECAY_FILTER)
    index = made.call.index_of(PARAMETERS)
    shown = index if index not in made.left.names else None
    text = parameters_text(unit.source, made.call.text, shown, inside) if shown is not None else inferred
    decay = made.call.argument("l2", "decoupled_decay")
    span = decay.value_span if decay is not None else None
    weight_decay = unit.source.text(span.start, span.end) if span is not None else None
    return tuple(exact_advice(reason, made.plan, text, weight_decay) for reason in reasons)


def _inferred(source: Source, options: Options, site: CallSite, plan: Plan) -> str | Finding | None:
    """The text of the parameters where the source's constructor takes none, and the target's needs them."""
    if not any(isinstance(piece, Inferred) for argument in plan.arguments for piece in argument.pieces):
        return None
    from optmap.translate.parameters.inferred import NotInferred, infer_parameters

    found = infer_parameters(source, site, options.target)
    if isinstance(found, NotInferred) and options.rewrite_step and b".minimize" in source.body:
        from optmap.translate.steps.write.graph import graph_parameters

        found = graph_parameters(source, site) or found
    if not isinstance(found, NotInferred) or options.params is not None:
        return options.params if isinstance(found, NotInferred) else found
    remedy = found.remedy or site.api.framework.facts.parameters.shown_by
    known = options.target.facts.parameters.trainable
    given = f"--params 'model.{known}()'" if known else "--params EXPR"
    advice = f"{found.remedy}, or pass {given}" if found.remedy is not None else f"pass {given}"
    detail = f"{plan.target.name} needs the parameters" + (f"; {remedy}" if remedy is not None else "")
    return Finding(NO_PARAMETERS, f"{found.reason}: {advice}", site.node, detail=detail)
