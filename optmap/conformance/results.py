"""What a check found, as values: one Result for each run of a pair, and a Pair for each translated call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optmap.conformance.levels import Divergence, Level
from optmap.mapping.model import Literal


class Verdict(StrEnum):
    """How a measurement stands to what the tables lead us to expect. Only AS_EXPECTED passes."""

    AS_EXPECTED = "AS_EXPECTED"
    WORSE = "WORSE"
    BETTER = "BETTER"
    NOT_RUN = "NOT_RUN"


class Mode(StrEnum):
    """FORCED: the source's gradients are replayed into both. FREE: each framework computes its own.

    SCHEDULE: no weights at all, the learning rates of two schedules.
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
        origin: `path:line` of the call; empty where optmap made it.
        row: the hyperparameter that the call moves away from its default; empty otherwise.
        assumed: arguments whose value the file does not tell, and what was taken instead.
        chosen: whether the translator picks this class, and whether it does so with --faithful.
        causes: why the update rules differ for these hyperparameters.
        advice: what can be done about it.
        not_run: why no run can compare the two classes, in the words of the tables; empty where one can.
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
        scenario, dtype, mode, steps: how.
        divergence: what was measured; None where it could not be run.
        expected: the worst level that the causes excuse.
        causes: those causes of the pair that this scenario can show.
        verdict: for a free run that of the forced run beside it.
        reason: why the verdict is not AS_EXPECTED, or what a free run has to be compared with.
        noise_floor: of a free run, drift between the source's own float32 and float64 runs.
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
        """Whether the result is as expected, or could not be made for a reason that the tables state."""
        return self.verdict is Verdict.AS_EXPECTED or bool(self.pair.not_run)


@dataclass(frozen=True)
class Refused:
    """A call that no class of the target can express, and the resolver's reasons."""

    source: str
    target: str
    hyperparameters: Mapping[str, Literal]
    origin: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything that a check found.

    Attributes:
        engines: version of each engine that was wanted; None where it could not be used.
        failures: why, by engine.
        results: in the order of the calls, their targets, the scenarios and dtypes.
        refused: calls that were not translated, so that there was nothing to compare.
    """

    engines: Mapping[str, str | None]
    failures: Mapping[str, str] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    refused: tuple[Refused, ...] = ()

    @property
    def forced(self) -> tuple[Result, ...]:
        """The results that are judged."""
        return tuple(result for result in self.results if result.mode is not Mode.FREE)

    @property
    def ran(self) -> bool:
        """Whether anything was compared at all."""
        return any(result.divergence is not None for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether something ran, everything came out as expected, and no call of a user's file was left out."""
        left_out = any(item.origin for item in self.refused)
        return self.ran and not left_out and all(result.passes for result in self.results)
