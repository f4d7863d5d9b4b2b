"""Derives the runs to be made from calls: their plans, scenarios and jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import cleandoc
from types import MappingProxyType
from typing import Any, Final

from optmap.conformance.calls import Call, arguments_of, canonical_values, choices, file_of, plans, target_arguments
from optmap.conformance.engines import ENGINES
from optmap.conformance.expect import describe
from optmap.conformance.explain import stated
from optmap.conformance.formulas import FORMULAS
from optmap.conformance.replay import Stated
from optmap.conformance.results import Pair, Refused
from optmap.conformance.resumed import Carry, carried
from optmap.conformance.rules import RULES, build
from optmap.conformance.scenario import GroupChange, Job, JobGroup, Model, Scenario
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Plan, Prefer, group_key
from optmap.mapping.sections import Api
from optmap.mapping.state_values import slots
from optmap.translate.constructors.arguments import Refusal
from optmap.translate.constructors.resolve import Groups, resolve

ROW_SCENARIOS: Final = ("norm-scale", "small-gradients", "rate-drop")
"""The scenarios for rows (one hyperparameter off its default); names, epsilon and a changing rate have an effect in them."""

RATE_DROP: Final = "rate-drop"


@dataclass(frozen=True)
class Trial:
    """A translated call in one scenario. The plan may depend on the scenario's parameter groups.

    `rule` is what the tables say of the call, for which there is a formula; `carry` is there where the target starts in the
    middle.
    """

    call: Call
    pair: Pair
    plan: Plan
    scenario: Scenario
    rule: Stated | None = None
    carry: Carry | None = None

    @cached_property
    def rate(self) -> float:
        """The learning rate of the call."""
        value = canonical_values(self.call).get("learning_rate")
        return float(value) if isinstance(value, int | float) else 0.0

    def job(self, api: Api, steps: int, dtype: str) -> Job:
        """The free run of the source or the target."""
        arguments = self.call.given if api is self.plan.source else self.pair.arguments
        carrier = api.by_tie.get("learning_rate")
        return Job(
            api.name, dict(arguments), self.scenario, steps, dtype, rate_argument=carrier.name if carrier else "",
            rates=self.scenario.rates(self.rate, steps), groups=self._groups(api),
            slots={name: slot.slot for name, slot in slots(api).items()} if self.carry else {},
            kept=self.halfway(steps) if api is self.plan.source else 0,
        )  # fmt: skip

    def halfway(self, steps: int) -> int:
        """The number of steps after which the target starts from the source's state; 0 where it starts as the source does."""
        return max(steps // 2, 1) if self.carry else 0

    def _groups(self, api: Api) -> tuple[JobGroup, ...] | None:
        if not self.scenario.groups:
            return None
        source, plan = self.plan.source, self.plan
        return tuple(
            JobGroup(
                group.parameters,
                {key if api is source else group_key(source, api, key, plan.switched) or key: value
                 for key, value in _changes(source, group, self.rate).items()},
            )
            for group in self.scenario.groups
        )  # fmt: skip


def _changes(source: Api, group: GroupChange, rate: float) -> dict[str, Any]:
    """What a group changes, by the keys that the source's groups take."""
    wanted = (("learning_rate", group.rate_factor and group.rate_factor * rate), ("l2", group.weight_decay),
              ("decoupled_decay", group.weight_decay))  # fmt: skip
    keys = {tie: key for key, ties in source.module.group_keys.items() for tie in ties}
    found: dict[str, Any] = {
        keys.get(tie, source.by_tie[tie].name): value
        for tie, value in wanted
        if value is not None and tie in source.by_tie
    }
    return found | dict(group.values)


class Trials:
    """Finds the trials of calls; calls that cannot be translated are collected in `refused`.

    `rates` are those of the schedules of files, by file and name: the optimizers there are run with them as well.
    """

    def __init__(
        self, tables: MappingSet, scenarios: Mapping[str, Scenario], *, every_target: bool,
        rates: Mapping[str, Mapping[str, tuple[float, ...]]] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.tables = tables
        self.scenarios = scenarios
        self.rates = rates
        self.every_target = every_target
        self.refused: list[Refused] = []

    def find(self, calls: Iterable[tuple[Call, Framework]]) -> list[Trial]:
        """All trials, in order."""
        found: list[Trial] = []
        for call, target in calls:
            try:
                found += list(self._of_call(call, target))
            except Exception as error:
                self.refused.append(Refused.by_error(error, call.api.name, target, call.given, call.origin))
        return found

    def _of_call(self, call: Call, target: Framework) -> Iterator[Trial]:
        found = plans(self.tables, call, target)
        picked = choices(found) if not isinstance(found, str) else {}
        if not picked or isinstance(found, str):
            if not call.row:
                self._refuse(call, target)
            return
        usual = picked[Prefer.AUTO]
        made = next((plan for plan in found if plan.target.name == call.target), usual)
        if made is not usual:  # the code around the call, such as an attached schedule, decides
            picked = dict.fromkeys(Prefer, made)
        rule = stated(self.tables, call)
        for plan in found:
            if not self.every_target and plan not in picked.values():
                continue
            pair = self._pair(call, plan, picked)
            if pair.not_run:
                if not call.row:
                    yield Trial(call, pair, plan, next(iter(self.scenarios.values())))
                continue
            for scenario in self._scenarios(call):
                if trial := self._trial(call, pair, plan, scenario, rule):
                    yield trial

    def _scenarios(self, call: Call) -> list[Scenario]:
        """The scenarios, and the one with a changing rate with each schedule of the call's file."""
        own = self.rates.get(file_of(call.origin), {}) if RATE_DROP in self.scenarios else {}
        changed = [
            replace(self.scenarios[RATE_DROP], name=f"with-{name}", rate_factors=factors)
            for name, factors in own.items()
        ]
        return [*self.scenarios.values(), *changed]

    def _refuse(self, call: Call, target: Framework) -> None:
        keys = call.group_keys
        groups = None if keys is None else Groups(keys)
        resolved = resolve(self.tables, call.api, arguments_of(call), target, groups=groups)
        reasons = tuple(reason.message for reason in resolved.reasons) if isinstance(resolved, Refusal) else ()
        self.refused.append(Refused(call.api.name, target, dict(call.given), call.origin, reasons))

    def _pair(self, call: Call, plan: Plan, picked: Mapping[Prefer, Plan]) -> Pair:
        return Pair(
            plan.source.name, plan.target.name, dict(call.given), target_arguments(plan, arguments_of(call)),
            call.origin, call.row, call.assumed,
            plan is picked[Prefer.AUTO], plan is picked[Prefer.DOCUMENTED], plan is picked[Prefer.FAITHFUL],
            tuple(describe(plan, cause) for cause in plan.causes), advice(plan, picked[Prefer.FAITHFUL]),
            _not_run(plan), tuple(map(dict, call.groups or ())), formula=_formula(plan),
        )  # fmt: skip

    def _trial(self, call: Call, pair: Pair, plan: Plan, scenario: Scenario, rule: Stated | None) -> Trial | None:
        if scenario.resumed:
            carry = carried(self.tables, call, plan, pair)
            resumed = Trial(call, pair, plan, scenario, rule, carry)
            return resumed if carry and _fits(resumed) else None
        if call.row and scenario.name not in ROW_SCENARIOS and not scenario.sparse:
            return None
        trial = Trial(call, pair, plan, scenario, rule)
        if call.groups is not None:  # the plan is one for groups already
            return _with_groups(trial)
        if scenario.groups:
            grouped = self._grouped(trial) if _fits(trial) else None
            return grouped and replace(trial, plan=grouped)
        return trial if _fits(trial) else None

    def _grouped(self, trial: Trial) -> Plan | None:
        """The plan of the call with the scenario's groups; None where either side does not support the keys of these groups."""
        source, target = trial.plan.source, trial.plan.target
        if not all(api.module.groups_take_all or api.module.group_keys for api in (source, target)):
            return None
        keys = dict.fromkeys(key for group in trial.scenario.groups for key in _changes(source, group, 1.0))
        found = plans(self.tables, trial.call, target.framework, group_keys=tuple(keys)) if keys else []
        return next((plan for plan in found if not isinstance(plan, str) and plan.target is target), None)


def _with_groups(trial: Trial) -> Trial | None:
    """The call with its own groups, over which a scenario's parameters are spread. Their rates stay as they are written."""
    call, plan, scenario = trial.call, trial.plan, trial.scenario
    if scenario.rate_factors or scenario.sparse:
        return None
    groups = list(call.groups or ())[: len(scenario.start)] or [()]
    names = list(scenario.start)
    if not any(groups) and not all(
        api.module.groups_take_all or api.module.group_keys for api in (plan.source, plan.target)
    ):
        return (
            trial if not scenario.groups and _fits(trial) else None
        )  # groups that set nothing, and a framework that has none
    spread = tuple(GroupChange(tuple(names[i :: len(groups)]), values=values) for i, values in enumerate(groups))
    trial = replace(trial, scenario=replace(scenario, groups=spread))
    return trial if _fits(trial) else None


def _not_run(plan: Plan) -> str:
    """Why one of the classes cannot be run, by the tables or for want of an engine; empty where both can."""
    both = (plan.source, plan.target)
    reasons = [f"{api.name} {api.not_run}" for api in both if api.not_run]
    reasons += [
        f"{api.name} belongs to {api.framework}, which no engine runs" for api in both if api.framework not in ENGINES
    ]
    return "; ".join(reasons)


def _fits(trial: Trial) -> bool:
    """Whether both classes can be run in the scenario."""
    source, target = trial.plan.source, trial.plan.target
    lazy = canonical_values(trial.call).get("lazy") is True
    if trial.scenario.sparse:
        return lazy and all(ENGINES[api.framework].sparse for api in (source, target))
    if trial.scenario.silent and not all(ENGINES[api.framework].sparse for api in (source, target)):
        return False
    if trial.scenario.dtype and not all(
        trial.scenario.dtype in ENGINES[api.framework].halves for api in (source, target)
    ):
        return False
    if trial.scenario.model is Model.TINY and not all(
        _takes_scalars(api, arguments)
        for api, arguments in ((source, trial.call.given), (target, trial.pair.arguments))
    ):
        return False
    if any(api.fixed.get("lazy") is True and not api.framework.facts.takes_dense for api in (source, target)):
        return False
    return not trial.scenario.rate_factors or all(
        _takes_rates(api, arguments) for api, arguments in ((source, trial.call.given), (target, trial.pair.arguments))
    )


def _takes_rates(api: Api, arguments: Mapping[str, Any]) -> bool:
    """Whether the class accepts a changing learning rate; where a numpy rule describes the class, the rule decides."""
    carrier = api.by_tie.get("learning_rate")
    if carrier is None:
        return False
    if api.name not in RULES:
        return True
    try:
        build(api.name, {**arguments, carrier.name: [0.1, 0.1]})
    except ValueError:
        return False
    return True


def _takes_scalars(api: Api, arguments: Mapping[str, Any]) -> bool:
    """Whether the class takes a parameter without dimensions; where a numpy rule describes it, the rule decides."""
    try:
        return api.name not in RULES or build(api.name, arguments).takes_scalars
    except ValueError:
        return False


def advice(plan: Plan, faithful: Plan) -> tuple[str, ...]:
    """Advice about the causes of a plan."""
    if not plan.causes:
        return ()
    found = [cause.advice for cause in plan.causes if cause.advice]
    if faithful.target is not plan.target and len(faithful.causes) < len(plan.causes):
        rest = (
            "agrees"
            if not faithful.causes
            else f"differs only in {', '.join(cause.trait for cause in faithful.causes)}"
        )
        found.insert(0, f"translate with --prefer faithful: {faithful.target.name} {rest}")
    return tuple(dict.fromkeys(found))


def sources_of(trials: Sequence[Trial]) -> dict[Framework, list[Trial]]:
    """The trials grouped by source framework."""
    found: dict[Framework, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.plan.source.framework, []).append(trial)
    return found


def _formula(plan: Plan) -> str:
    """The update rule in words and symbols, where one formula serves both classes."""
    formula = FORMULAS.get(plan.source.algorithm)
    return cleandoc(formula.update.__doc__ or "") if formula is FORMULAS.get(plan.target.algorithm) and formula else ""
