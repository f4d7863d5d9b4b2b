"""One constructor call: resolve it, infer what is missing, and turn the answer into a change or a refusal."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from optmap.diagnostics import (
    EXECUTION_DROPPED,
    FROZEN_LATER,
    GROUP_KEY,
    HIDDEN_GROUPS,
    INVALID_CALL,
    NAME_TAKEN,
    NAMES_CLASH,
    NAMES_DIFFER,
    NO_PARAMETERS,
    PARAMETERS_KEPT,
    SCHEDULE_ARGUMENT,
    UNEDITABLE,
    UNSUPPORTED_ARGUMENT,
    Code,
)
from optmap.mapping.plan import Inferred, Plan, Prefer
from optmap.mapping.values import Value, literal_value, read_value
from optmap.mapping.vocabulary import PARAMETERS
from optmap.source.bind import Given, Signature, bind
from optmap.source.calls import Argument, CallText, read_call
from optmap.source.changes import Change, Replace
from optmap.source.templates import CallTemplate, Template
from optmap.source.text import SourceError
from optmap.translate.constructors.arguments import CallArgument, Refusal
from optmap.translate.constructors.learning_rate import learning_rate_object
from optmap.translate.constructors.reasons import Reason, Subject, at_changing_rate
from optmap.translate.constructors.resolve import Groups, Rewrite, Serving, Trainer, resolve
from optmap.translate.constructors.rewrite import call_template
from optmap.translate.constructors.safety import unsafe_edit
from optmap.translate.constructors.spelling import spell
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.findings import Finding, Place
from optmap.translate.options import Options
from optmap.translate.parameters.edits import parameter_changes, uses_names
from optmap.translate.parameters.groups import ParametersArgument
from optmap.translate.parameters.sharing import Sharing
from optmap.translate.unit import Member, Rewritten, Tied, Translation, Unit, Veto, Vetoes
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


class CallTranslation:
    """The translation of one call; `tied` is what its schedules ask for, `optimizers` are the ids of all constructor calls.

    `taken` are the names that schedules have, by the id of their scope, with their optimizers.
    """

    def __init__(
        self, unit: Unit, options: Options, site: CallSite, sharing: Sharing, tied: Tied, optimizers: Collection[int],
        taken: Mapping[tuple[int, str], str], vetoes: Vetoes,
    ) -> None:  # fmt: skip
        self.unit = unit
        self.source = unit.source
        self.site = site
        self.tables = unit.tables
        self.options = options
        self.sharing = sharing
        self.tied = tied
        self.optimizers = optimizers
        self.taken = taken
        self.vetoes = vetoes
        self.attached: Attached | None = None
        """What a learning rate becomes that holds one for each step."""
        self.scaled: Unscaled | None = None
        """What multiplies the loss by a scale that the target lacks."""
        self.bound: tuple[Given, ...] | None = None
        """What the parameters of the class as it is now get from the call."""

    def run(self) -> CallOutcome:
        try:
            call = read_call(self.source, self.site.node)
        except SourceError as error:
            return self._refused(UNEDITABLE, f"{self.site.api.name}: {error.message}", self.site.node)
        values = [read_value(argument.node) for argument in call.arguments]
        index = self._given(call, PARAMETERS)
        parameters = self.sharing.parameters(self.site, call.arguments[index].node) if index is not None else None
        if parameters is not None and parameters.unreadable is not None:
            return self._refused(
                GROUP_KEY, "a parameter group has keys that are not written out", self._at(call, index)
            )
        if parameters is not None and parameters.sums:
            from optmap.translate.parameters.checks import sum_message

            return self._refused(INVALID_CALL, sum_message(self.site, parameters.sums[0]), self._at(call, index))
        arguments = [
            CallArgument(item.form, item.name, value) for item, value in zip(call.arguments, values, strict=True)
        ]
        rate = self._given(call, "learning_rate")
        if self.tied.refusal is not None:
            refused = self._refused(SCHEDULE_ARGUMENT, self.tied.refusal, self._at(call, rate))
            if rate is None or not self.options.todo:
                return refused
            self._want(refused.findings[0], call.arguments[rate])
        gone = self.tied.serving is not None and bool(self.tied.serving.moved)  # the schedule takes the rate's place
        lists = self.site.api.framework.facts.rates.lists
        gone = gone or self.attached is not None
        if rate is not None and (gone or (lists and values[rate].elements is not None)):
            values[rate] = Value()
            arguments[rate] = arguments[rate]._replace(value=Value())
        groups = parameters.groups if parameters else None
        resolved, serving, given_up = self._served(arguments, groups)
        if isinstance(resolved, Refusal) and (scale := self._given(call, "loss_scale")) is not None:
            resolved = self._unscaled(call, scale, resolved)
            if self.scaled is not None:
                arguments[scale] = arguments[scale]._replace(value=literal_value(1.0))
                values[scale] = literal_value(1.0)
                resolved, serving, given_up = self._served(arguments, groups)
        if isinstance(resolved, Refusal):
            from optmap.translate.parameters.advice import in_own_words

            return CallOutcome(self._findings(call, in_own_words(resolved.reasons, parameters)))
        hidden = next((lost for lost in parameters.lost if lost.groups), None) if parameters is not None else None
        if hidden is not None:
            message = f"parameter groups are built elsewhere, and {hidden.reason}; write them at the call"
            return self._refused(HIDDEN_GROUPS, message, self._at(call, index))._replace(given_up=given_up)
        refusal = self._schedule(call, resolved) if serving is None else None
        moved = serving.moved if serving is not None else self.options.target.facts.schedules.function or ""
        if parameters is not None and (serving is not None or (self.attached and self.attached.changes)):
            refusal = refusal or self._group_rate(parameters, moved)
        refusal = refusal or self._inside(call, resolved, parameters, index)
        if refusal is not None:
            return CallOutcome((refusal,), given_up=given_up)
        if serving is not None:
            resolved = resolved._replace(reasons=at_changing_rate(resolved.reasons))
        return self._rewrite(call, values, resolved, parameters, index)._replace(given_up=given_up)

    def _served(
        self, arguments: Sequence[CallArgument], groups: Groups | None
    ) -> tuple[Rewrite | Refusal, Serving | None, tuple[tuple[Member, Veto], ...]]:
        """Resolve the call among the classes that take its schedules, or without those, where no such class will do."""
        serving = self.tied.serving
        resolved = self._resolve(arguments, groups, serving)
        if isinstance(resolved, Refusal) and serving is not None:
            usual = self._resolve(arguments, groups, None)
            if isinstance(usual, Rewrite) and (self.tied.schedules or not serving.needed):
                why = "; ".join(reason.message for reason in resolved.reasons)
                veto = Veto(f"the optimizer on line {self.site.node.lineno} has to become another class ({why})")
                return usual, None, tuple((member, veto) for member in self.tied.schedules)
        return resolved, serving, ()

    def _unscaled(self, call: CallText, index: int, resolved: Refusal) -> Refusal:
        """Look whether a loss scale that the target lacks can go together with what multiplies the loss by it."""
        from optmap.translate.constructors.loss_scale import unscaled

        mine = [item.index == index and item.code is UNSUPPORTED_ARGUMENT for item in resolved.reasons]
        if not any(mine) or not self.site.api.framework.facts.scaling.managers:
            return resolved
        scale = call.arguments[index].node
        found = unscaled(self.unit, self.site, scale, self.taken, self.vetoes)
        if not isinstance(found, str):
            self.scaled = found
            return resolved
        found_in = zip(resolved.reasons, mine, strict=True)
        return Refusal(
            tuple(item._replace(statement=f"{item.statement}, and {found}") if own else item for item, own in found_in)
        )

    def _refused(self, code: Code, message: str, at: Place) -> CallOutcome:
        return CallOutcome((_finding(code, message, at),))

    def _at(self, call: CallText, index: int | None) -> Place:
        """An argument of the call, or all of it."""
        return call.arguments[index].span if index is not None else self.site.node

    def _findings(self, call: CallText, reasons: Iterable[Reason]) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                item.code, item.message, self._at(call, item.index), item.table, item.replacement, detail=item.detail
            )
            for item in reasons
        )  # fmt: skip

    def _resolve(
        self, arguments: Sequence[CallArgument], groups: Groups | None, serving: Serving | None
    ) -> Rewrite | Refusal:
        options = self.options
        ask = partial(resolve, self.tables, self.site.api, arguments, options.target, groups=groups, serving=serving)
        found = ask(prefer=options.prefer)
        trained = options.target.facts.steps.trained
        if options.prefer is Prefer.AUTO and isinstance(found, Rewrite) and trained:
            trainer = self._trainer() if found.plan.target.module.name not in trained else None
            return ask(prefer=options.prefer, trainer=trainer) if trainer is not None else found
        return found

    def _trainer(self) -> Trainer | None:
        """What the file has the optimizer train by, if it is choosy about the class."""
        from optmap.translate.discover.trainers import find_trainer

        return find_trainer(self.site, self.options.target)

    def _given(self, call: CallText, *ties: str) -> int | None:
        """The place of the argument that gives one of some hyperparameters."""
        if self.bound is None:
            api = self.site.api
            self.bound = tuple(bind(Signature(api.current, api.by_name), call.arguments).given.values())
        wanted = (item.index for item in self.bound if not set(ties).isdisjoint(item.parameter.ties))
        return next((index for index in wanted if index is not None), None)

    def _schedule(self, call: CallText, resolved: Rewrite) -> Finding | None:
        index = self._given(call, "learning_rate")
        argument = call.arguments[index] if index is not None else None
        what = learning_rate_object(self.site, argument.node, self.tables) if argument is not None else None
        if argument is None or what is None or self.attached is not None:
            return None
        from optmap.translate.constructors.rate_list import rate_list_advice
        from optmap.translate.schedules.rates import attach_rates

        target = resolved.plan.target
        lists = self.site.api.framework.facts.rates.lists
        found = attach_rates(self.unit, self.site, argument.node, self.taken) if lists else None
        if found is not None and not isinstance(found, str):
            self.attached = found
            return None
        advice = rate_list_advice(self.source, what, argument.node, self.site.api.framework, target)
        why = f" ({found})" if found is not None else ""
        message = f"the learning rate is {what.text}, which {target.name} cannot take{why}{advice}"
        refused = _finding(SCHEDULE_ARGUMENT, message, argument.span)
        if not self.options.todo:
            return refused
        self._want(refused, argument)
        return None

    def _want(self, refused: Finding, argument: Argument) -> None:
        """Leave a learning rate open: the call fails where it stands, until a person has said what it is."""
        from optmap.translate.schedules.rates import Attached

        text = self.source.text(self.source.start(argument.node), self.source.end(argument.node))
        found = refused._replace(message=f"{refused.message}; it was {text}")
        self.attached = Attached(Template("..."), (), (), (), (found,))

    def _group_rate(self, found: ParametersArgument, moved: str) -> Finding | None:
        """A schedule that is attached sets the rate of every group, one that was passed that of the others."""
        for entry in found.entries if moved else ():
            if entry.key in ("lr", "learning_rate") and entry.sets:
                message = f"a group has its own learning rate on line {entry.value.lineno}"
                message = f"{message}, which the schedule leaves alone and {moved} does not"
                return Finding(SCHEDULE_ARGUMENT, message, self.site.node)
        return None

    def _inside(
        self, call: CallText, resolved: Rewrite, parameters: ParametersArgument | None, index: int | None
    ) -> Finding | None:
        facts = self.site.api.framework.facts.parameters
        flagged = facts.flag is not None and facts.flag.encode() in self.source.body
        if parameters is None or index is None or not (parameters.entries or facts.own_names or flagged):
            return None
        from optmap.translate.parameters.checks import inexpressible

        argument, plan = call.arguments[index], resolved.plan
        return inexpressible(self.site, self.tables, plan, argument.node, argument.span, parameters.entries)

    def _rewrite(
        self, call: CallText, values: list[Value], resolved: Rewrite,
        parameters: ParametersArgument | None, index: int | None,
    ) -> CallOutcome:  # fmt: skip
        plan = resolved.plan
        findings: list[Finding] = []
        inferred = self._inferred(plan)
        if isinstance(inferred, Finding):
            if not self.options.todo:
                return CallOutcome((inferred,))
            findings.append(inferred)
            inferred = "..."  # which every constructor rejects
        spelling = spell(self.site, plan.target)
        if spelling is None:
            root = plan.target.module.paths[0].partition(".")[0]
            return self._refused(NAME_TAKEN, f"the file binds {root!r} to something else", self.site.node)
        refusal = unsafe_edit(self.source, self.site, call, plan, self.optimizers)
        if refusal is not None:
            return CallOutcome((refusal,))
        own = Replace(call.node, self._template(call, values, plan, spelling.text, inferred))
        inside: tuple[Change, ...] = ()
        if parameters is not None and index is not None and plan.target.parameters_argument is not None:
            inside = parameter_changes(self.source, parameters, plan, self.site.node)
            findings += self._idle_findings(parameters)
            findings += self._parameter_findings(parameters, call.arguments[index].span)
        elif index is not None:
            from optmap.translate.parameters.advice import left_out

            argument = call.arguments[index]
            findings.append(left_out(self.source, argument.node, argument.span, self.site.api, plan.target))
        reasons = resolved.reasons
        if any(reason.subject is Subject.DECAY_FILTER for reason in reasons):
            from optmap.translate.parameters.advice import exact_advice, parameters_text

            text = parameters_text(self.source, call, index, inside) if index is not None else inferred
            if parameters is not None and self._normalizes_nothing(parameters):
                reasons = tuple(reason for reason in reasons if reason.subject is not Subject.DECAY_FILTER)
            reasons = tuple(exact_advice(reason, plan, text, self._weight_decay(call)) for reason in reasons)
        needed = (spelling.needs,) if spelling.needs is not None else ()
        change = Rewritten((self.site.node,), (own, *inside), needed, (self.site.callee,))
        names: Mapping[tuple[int, str], str] = {}
        if self.scaled is not None:
            findings.append(self.scaled.finding)
            gone = (*change.gone, *self.scaled.gone)
            change = change._replace(changes=(*change.changes, *self.scaled.changes), gone=gone)
        if (rates := self.attached) is not None:
            findings += rates.findings
            names = rates.names
            change = change._replace(
                changes=(*change.changes, *rates.changes),
                needed=(*change.needed, *rates.needed),
                gone=(*change.gone, *rates.gone),
            )
        done = Translation(self.site, plan.target, change)
        taken = {**names, **(self.scaled.names if self.scaled is not None else {})}
        said, went = (*self._findings(call, reasons), *findings), self.scaled is not None and self.scaled.taken
        return CallOutcome(said, done, inside, names=names, taken=taken, unscaled=went)

    def _template(
        self, call: CallText, values: list[Value], plan: Plan, callee: str, inferred: str | None
    ) -> CallTemplate:
        made = call_template(self.source, call, values, plan, callee, inferred)
        if self.attached is None:
            return made
        rate, value = self._given(call, "learning_rate"), self.attached.value
        given = (item._replace(value=value) if item.place == rate else item for item in made.arguments)
        return made._replace(arguments=tuple(given))

    def _normalizes_nothing(self, parameters: ParametersArgument) -> bool:
        """Whether all parameters are those of models that surely hold no normalization layer."""
        from optmap.translate.parameters.normalization import surely_none

        known = [call.func.value for call in parameters.accessors if isinstance(call.func, ast.Attribute)]
        if parameters.opaque or parameters.single or len(known) != len(parameters.accessors):
            return False
        names = {name for item in self.tables.frameworks.values() for name in item.facts.parameters.scales.values()}
        return surely_none(self.site.module, known, self.site.api.framework, names)

    def _inferred(self, plan: Plan) -> str | Finding | None:
        """The text of the parameters where the source's constructor takes none, and the target's needs them."""
        if not any(isinstance(piece, Inferred) for argument in plan.arguments for piece in argument.pieces):
            return None
        from optmap.translate.parameters.inferred import Failure, infer_parameters

        found = infer_parameters(self.source, self.site, self.options.target)
        if isinstance(found, Failure) and self.options.rewrite_step and b".minimize" in self.source.body:
            from optmap.translate.steps.write.graph import graph_parameters

            found = graph_parameters(self.source, self.site) or found
        if not isinstance(found, Failure) or self.options.params is not None:
            return self.options.params if isinstance(found, Failure) else found
        remedy = found.remedy or self.site.api.framework.facts.parameters.shown_by
        known = self.options.target.facts.parameters.trainable
        given = f"--params 'model.{known}()'" if known else "--params EXPR"
        advice = f"{found.remedy}, or pass {given}" if found.remedy is not None else f"pass {given}"
        detail = f"{plan.target.name} needs the parameters" + (f"; {remedy}" if remedy is not None else "")
        return Finding(NO_PARAMETERS, f"{found.reason}: {advice}", self.site.node, detail=detail)

    def _weight_decay(self, call: CallText) -> str | None:
        """The text of the call's weight decay; None where it is left out."""
        index = self._given(call, "l2", "decoupled_decay")
        span = call.arguments[index].value_span if index is not None else None
        return self.source.text(span.start, span.end) if span is not None else None

    def _idle_findings(self, parameters: ParametersArgument) -> Iterator[Finding]:
        for item in parameters.idle:
            node = item if isinstance(item, ast.Dict) else item.value
            key = ast.unparse(item.keys[0] or item) if isinstance(item, ast.Dict) else repr(item.key)
            message = f"{key} was dropped: it changes how, not what, {self.site.api.name} computes"
            yield Finding(EXECUTION_DROPPED, message, node)

    def _parameter_findings(self, parameters: ParametersArgument, at: Place) -> Iterator[Finding]:
        known = self.options.target.facts.parameters.trainable
        opaque = [*parameters.opaque, *(() if known else parameters.accessors)]
        if opaque:
            shown = self._shown(opaque[0], constructed_with(self.site))
            why = f" ({parameters.lost[0].reason})" if parameters.lost else ""
            text = f"make sure that it holds {self.options.target.facts.title}'s parameters"
            yield Finding(PARAMETERS_KEPT, f"{shown} was left as written{why}: {text}", at)
        if uses_names(parameters, self.site.api.framework):
            from optmap.translate.parameters.checks import names_message

            message = names_message(parameters.literals, self.options.target, parameters.name_attribute)
            yield Finding(NAMES_DIFFER, message, at)
        if self.options.target.facts.parameters.flag is None and known:
            from optmap.translate.parameters.freezing import freezing

            later = freezing(self.site).later
            if later is not None:
                message = f"line {later} changes which parameters are trained; construct another optimizer there"
                yield Finding(FROZEN_LATER, message, at, detail=f"this one keeps those that {known}() gives now")
        if self.options.target.facts.parameters.rename is not None:
            from optmap.translate.parameters.checks import clash_message

            clash = clash_message(self.site, parameters, self.options.target)
            if clash is not None:
                yield Finding(NAMES_CLASH, clash[0], at, replacement=clash[1], detail=clash[2])

    def _shown(self, node: ast.expr, argument: ast.expr | None) -> str:
        """An expression in a message, with its line where it stands outside the call's argument."""
        start, end = self.source.start(node), self.source.end(node)
        text = self.source.text(start, end)
        text = text if len(text) <= 40 and len(text.splitlines()) == 1 else "part of the argument"
        inside = argument is None or self.source.start(argument) <= start <= end <= self.source.end(argument)
        return text if inside else f"{text} on line {node.lineno}"


def _finding(code: Code, text: str, at: Place) -> Finding:
    """A finding whose text may have code below its first line."""
    message, _, shown = text.partition("\n")
    return Finding(code, message, at, replacement=shown or None)
