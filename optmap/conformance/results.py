"""Results of a check as values: a Pair for each translated call, and a Result for each comparison of a pair.

Reports read this module; it does not import numpy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from optmap.mapping.records import Literal


class Level(StrEnum):
    """How well two runs agree, from best to worst in the order of definition."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    CLOSE = "CLOSE"
    DIVERGENT = "DIVERGENT"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return _ORDER.index(self)


_ORDER: Final = tuple(Level)


class Divergence(NamedTuple):
    """How far two runs of the same scenario diverge.

    Attributes:
        max_abs: largest difference of an element at any step; infinite where two values differ and are not both finite.
        max_ulp: the same in units in the last place (ULP) of the larger value, or of a thousandth of the parameter's largest
            where both are smaller: nearer to zero, units say nothing about the run. None where `max_abs` is infinite.
        drift: distance of the two end points over the distance that the first run travelled (Euclidean norms).
        first_step_over: first step, counted from 1, over the tolerance of EQUIVALENT; None if no step is.
        parameter: name of the parameter that is over the tolerance first.
        level: the measured level.
        mismatched: how many elements of that parameter are over the tolerance at that step, and of how many.
        values: the first of them on both sides.
    """

    max_abs: float
    max_ulp: int | None
    drift: float
    first_step_over: int | None
    parameter: str | None
    level: Level
    mismatched: tuple[int, int] | None = None
    values: tuple[tuple[float, ...], tuple[float, ...]] | None = None


class Course(NamedTuple):
    """How two runs move, step by step; distances are Euclidean norms over all parameters.

    Attributes:
        drift: distance between the two runs over the distance that the first travels in the whole run; infinite where the
            runs are not finite.
        source, target: the distance of each run from its start.
        tolerances: the drift that EQUIVALENT and CLOSE allow where weights are small beside the distance travelled.
    """

    drift: tuple[float, ...]
    source: tuple[float, ...]
    target: tuple[float, ...]
    tolerances: tuple[float, float]


class Verdict(StrEnum):
    """How a measurement compares with what the tables predict. Only AS_EXPECTED passes.

    DIVERGED: a run left the finite numbers, so that nothing is said of the rest of it.
    """

    AS_EXPECTED = "AS_EXPECTED"
    WORSE = "WORSE"
    DIVERGED = "DIVERGED"
    BETTER = "BETTER"
    NOT_RUN = "NOT_RUN"


class FailOn(StrEnum):
    """WORSE: a verdict other than AS_EXPECTED fails the check. DIVERGENT: so does a DIVERGENT run that the tables predict."""

    WORSE = "worse"
    DIVERGENT = "divergent"


class Mode(StrEnum):
    """FORCED: the source's gradients are replayed into both optimizers. FREE: each framework computes its own.

    SCHEDULE: nothing is trained; the learning rates of two schedules are compared.
    """

    FORCED = "forced"
    FREE = "free"
    SCHEDULE = "schedule"


class Assumed(NamedTuple):
    """A value that a file does not show.

    Attributes:
        name: the argument, or the key of a group; empty for groups as a whole.
        value: what is taken for it.
        text: what is written there.
        why: where the value comes from.
        group: the place of the group among those of the call; None for an argument.
    """

    name: str
    value: Literal
    text: str
    why: str
    group: int | None = None

    def __str__(self) -> str:
        if not self.name:
            return f"{self.text}: {self.why}"
        where = "" if self.group is None else f" in group {self.group + 1}"
        return f"{self.name}={self.value!r}{where} assumed for {self.text}: {self.why}"


@dataclass(frozen=True)
class Pair:
    """A call and one class of the target that can express it.

    Attributes:
        source: full name of the source's class.
        target: full name of the target's class.
        hyperparameters: the arguments of the source's call.
        arguments: the arguments of the target's call.
        origin: `path:line` of the call; empty where optmap constructed it.
        row: the hyperparameter that the call sets off its default; empty otherwise.
        assumed: values of the source's call that the file does not show.
        chosen, chosen_documented, chosen_faithful: whether the translator chooses this class, by itself and with --prefer.
        causes: why the update rules differ for these hyperparameters.
        advice: what can be done about them.
        not_run: the tables' reason why the two classes cannot be run here; empty where they can.
        formula: the update rule of both sides, which differ in the causes alone; empty where none is stated.
        groups: what each parameter group of the source's call sets.
        notes: how a schedule was run.
    """

    source: str
    target: str
    hyperparameters: Mapping[str, Literal]
    arguments: Mapping[str, Literal]
    origin: str = ""
    row: str = ""
    assumed: tuple[Assumed, ...] = ()
    chosen: bool = True
    chosen_documented: bool = False
    chosen_faithful: bool = False
    causes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    not_run: str = ""
    groups: tuple[Mapping[str, Literal], ...] = ()
    notes: tuple[str, ...] = ()
    formula: str = ""


@dataclass(frozen=True)
class Result:
    """One comparison.

    Attributes:
        pair: what was compared.
        engine: the engine that ran the target.
        scenario, dtype, mode, steps: how it was run.
        divergence: what was measured; None if it could not be run.
        expected: the worst level that the causes explain.
        causes: the causes of the pair that have an effect in this scenario.
        verdict: the verdict; a free run has that of its forced run.
        remainder: what remains in float64 of the difference when the causes are taken away; None where there are none, or
            no formula of the algorithm. It is EQUIVALENT at worst, or the verdict WORSE.
        reason: why the verdict is not AS_EXPECTED; None if it is.
        noise_floor: for a free run, the drift between the source's own runs in float32 and float64; else None.
        scale: the factor on the loss without which this call's training would explode; 1 for most.
        accepted: false where the measured level fails the check although the tables predict it.
        course: how the runs move, where that was asked for.
        known: it does not pass, and did not when the baseline was written.
        regressed: it is worse than in the baseline.
        seconds: that the target took; where many runs are made at once, its share.
    """

    pair: Pair
    engine: str
    scenario: str
    dtype: str
    mode: Mode
    steps: int
    divergence: Divergence | None
    expected: Level
    causes: tuple[str, ...]
    verdict: Verdict
    reason: str | None = None
    noise_floor: float | None = None
    accepted: bool = True
    scale: float = 1.0
    course: Course | None = None
    remainder: Divergence | None = None
    known: bool = False
    regressed: bool = False
    seconds: float = 0.0

    @property
    def passes(self) -> bool:
        """Whether the result is as expected and accepted, in the baseline, or not made for a reason that the tables give."""
        return (self.verdict is Verdict.AS_EXPECTED and self.accepted) or self.known or bool(self.pair.not_run)

    @property
    def divergent(self) -> bool:
        """Whether a run that gets a verdict was measured as DIVERGENT."""
        measured = self.divergence
        return self.mode is not Mode.FREE and measured is not None and measured.level is Level.DIVERGENT


@dataclass(frozen=True)
class Refused:
    """A call that was not compared, with the reasons: most often no class of the target can express it.

    `internal`: an internal error cost this call, so that the check does not pass, whoever wrote the call. `untested`: the call
    can be translated, but what it computes cannot be known without running the user's program. `known`: the baseline has it.
    """

    source: str
    target: str
    hyperparameters: Mapping[str, Literal]
    origin: str
    reasons: tuple[str, ...]
    internal: bool = False
    untested: bool = False
    known: bool = False

    @property
    def fails(self) -> bool:
        """Whether the check fails for it: what a user wrote was not translated, or optmap itself failed."""
        return ((bool(self.origin) and not self.untested) or self.internal) and not self.known

    @classmethod
    def by_error(cls, error: Exception, source: str, target: str, given: Mapping[str, Literal], origin: str) -> Refused:
        """A call that could not be checked because of an internal error."""
        return cls(source, target, dict(given), origin, (internal_error(error),), internal=True)


@dataclass(frozen=True)
class Report:
    """Everything that a check found.

    Attributes:
        engines: the version of each engine that was needed; None if it could not be used.
        failures: why an engine could not be used, by engine.
        results: in the order of the calls, their targets, the scenarios and dtypes.
        refused: calls that were not translated and therefore not compared.
        fail_on: what fails the check.
        seed: of the scenarios.
    """

    engines: Mapping[str, str | None]
    failures: Mapping[str, str] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    refused: tuple[Refused, ...] = ()
    fail_on: FailOn = FailOn.WORSE
    seed: int = 0

    @property
    def forced(self) -> tuple[Result, ...]:
        """The results that get a verdict: all but the free runs."""
        return tuple(result for result in self.results if result.mode is not Mode.FREE)

    @property
    def ran(self) -> bool:
        """Whether anything was compared."""
        return any(result.divergence is not None for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether something ran, every result passes, and every call of the user's files was translated."""
        left_out = any(item.fails for item in self.refused)
        return self.ran and not left_out and all(result.passes for result in self.results)


def named(trait: str) -> str:
    """A trait or hyperparameter in a sentence."""
    return f"the {trait.replace('_', ' ')}"


def internal_error(error: Exception) -> str:
    """What is reported of an error that only a fault of optmap explains; with OPTMAP_DEBUG set, it is raised instead."""
    if os.environ.get("OPTMAP_DEBUG"):
        raise error
    text = str(error).strip().partition("\n")[0]
    return f"internal error ({type(error).__name__}{f': {text}' if text else ''}): this is a bug in optmap; please report it"
