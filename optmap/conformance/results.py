"""Results of a check as values: a Pair for each translated call, and a Result for each comparison of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optmap.conformance.levels import Divergence, Level
from optmap.mapping.records import Literal


class Verdict(StrEnum):
    """How a measurement compares with what the tables predict. Only AS_EXPECTED passes."""

    AS_EXPECTED = "AS_EXPECTED"
    WORSE = "WORSE"
    BETTER = "BETTER"
    NOT_RUN = "NOT_RUN"


class Mode(StrEnum):
    """FORCED: the source's gradients are replayed into both optimizers. FREE: each framework computes its own.

    SCHEDULE: nothing is trained; the learning rates of two schedules are compared.
    """

    FORCED = "forced"
    FREE = "free"
    SCHEDULE = "schedule"


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
        assumed: arguments whose value the file does not show, and the values that were assumed.
        chosen, chosen_faithful: whether the translator chooses this class, without and with --faithful.
        causes: why the update rules differ for these hyperparameters.
        advice: what can be done about them.
        not_run: the tables' reason why the two classes cannot be run here; empty where they can.
    """

    source: str
    target: str
    hyperparameters: Mapping[str, Literal]
    arguments: Mapping[str, Literal]
    origin: str = ""
    row: str = ""
    assumed: tuple[str, ...] = ()
    chosen: bool = True
    chosen_faithful: bool = False
    causes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    not_run: str = ""


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
        reason: why the verdict is not AS_EXPECTED; None if it is.
        noise_floor: for a free run, the drift between the source's own runs in float32 and float64; else None.
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

    @property
    def passes(self) -> bool:
        """Whether the result is as expected, or could not be made for a reason that the tables give."""
        return self.verdict is Verdict.AS_EXPECTED or bool(self.pair.not_run)


@dataclass(frozen=True)
class Refused:
    """A call that no class of the target can express, with the resolver's reasons."""

    source: str
    target: str
    hyperparameters: Mapping[str, Literal]
    origin: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything that a check found.

    Attributes:
        engines: the version of each engine that was needed; None if it could not be used.
        failures: why an engine could not be used, by engine.
        results: in the order of the calls, their targets, the scenarios and dtypes.
        refused: calls that were not translated and therefore not compared.
    """

    engines: Mapping[str, str | None]
    failures: Mapping[str, str] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    refused: tuple[Refused, ...] = ()

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
        left_out = any(item.origin for item in self.refused)
        return self.ran and not left_out and all(result.passes for result in self.results)
