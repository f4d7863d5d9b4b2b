"""Runs trials (the source, the target with the source's gradients, the target with its own), compares and judges them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from optmap.conformance.calls import canonical_values
from optmap.conformance.compare import compare, drift
from optmap.conformance.expect import Circumstances, Expectation, expectation
from optmap.conformance.levels import Level
from optmap.conformance.pool import EngineError, Session
from optmap.conformance.results import Mode, Result, Verdict
from optmap.conformance.scenario import Failure, Gradients, Job, Outcome, Rows, Trace
from optmap.conformance.trials import Trial, sources_of
from optmap.conformance.verdict import judge
from optmap.mapping.model import Framework

NOISE_DTYPE: Final = "float64"

Progress: TypeAlias = Callable[[int], None]


@dataclass(frozen=True)
class RunOptions:
    """How every trial is run: `dtypes` get verdicts; `row_steps` replaces `steps` for calls with one hyperparameter set."""

    steps: int
    row_steps: int
    dtypes: tuple[str, ...]
    free: bool = True

    def steps_of(self, trial: Trial) -> int:
        """The number of steps of a trial."""
        return self.row_steps if trial.call.row else self.steps


def run_trials(
    trials: Sequence[Trial], sessions: Mapping[str, Session], options: RunOptions, progress: Progress = lambda _: None
) -> list[Result]:
    """Run all trials, the source frameworks side by side, and return the results in the order of the trials.

    `progress` is called with the number of further trials that are done, from several threads.
    """
    possible = [trial for trial in trials if not trial.pair.not_run]
    shares = list(sources_of(possible).items())
    with ThreadPoolExecutor(max(len(shares), 1)) as pool:
        try:
            found = list(pool.map(lambda item: _share(item[0], item[1], sessions, options, progress), shares))
        except BaseException:  # an interrupt must not wait for busy workers
            for session in sessions.values():
                session.close()
            raise
    by_trial = {id(trial): [_excused(trial, options)] for trial in trials if trial.pair.not_run}
    for results in found:
        by_trial |= results
    return [result for trial in trials for result in by_trial[id(trial)]]


def _excused(trial: Trial, options: RunOptions) -> Result:
    """The result of a trial that cannot be run according to the tables."""
    return Result(trial.pair, trial.plan.target.framework, trial.scenario.name, options.dtypes[0], Mode.FORCED,
                  options.steps_of(trial), None, Level.EQUIVALENT, (), Verdict.NOT_RUN, trial.pair.not_run)  # fmt: skip


def _share(
    framework: Framework,
    trials: Sequence[Trial],
    sessions: Mapping[str, Session],
    options: RunOptions,
    progress: Progress,
) -> dict[int, list[Result]]:
    """Run the trials of one source framework class by class, so that targets start before all sources have finished."""
    found: dict[int, list[Result]] = {}
    batches: dict[str, list[Trial]] = {}
    for trial in trials:
        batches.setdefault(trial.plan.source.name, []).append(trial)
    for batch in batches.values():
        found |= _Batch(framework, batch, sessions, options).results()
        progress(len(batch))
    return found


class _Batch:
    """The trials of one source class, run with as few requests to the workers as possible."""

    def __init__(
        self, framework: Framework, trials: Sequence[Trial], sessions: Mapping[str, Session], options: RunOptions
    ) -> None:
        self.framework = framework
        self.trials = trials
        self.sessions = sessions
        self.options = options
        self.sources: dict[tuple[int, str, str], Outcome] = {}

    def results(self) -> dict[int, list[Result]]:
        self._run_sources()
        found: dict[int, list[Result]] = {id(trial): [] for trial in self.trials}
        for framework in dict.fromkeys(trial.plan.target.framework for trial in self.trials):
            mine = [trial for trial in self.trials if trial.plan.target.framework == framework]
            for engine in self._engines(framework) if mine else ():
                self._run_targets(engine, mine, found)
        return found

    def _engines(self, framework: Framework) -> list[str]:
        return [name for name in self.sessions if name == framework or name.startswith(f"{framework}-")]

    def _free(self, trial: Trial) -> bool:
        return self.options.free and not trial.call.row

    def _key(self, trial: Trial, dtype: str) -> tuple[int, str, str]:
        return id(trial.call), trial.scenario.name, dtype

    def _run_sources(self) -> None:
        """Run the source once for each call, scenario and dtype.

        A call of the user or of the defaults is a free run. A row (one hyperparameter off its default) replays the gradients
        of its class's default call if there are any, because rows are only compared in forced runs.
        """
        self._ask_sources([trial for trial in self.trials if not trial.call.row], {})
        gradients = {
            (scenario, dtype): outcome.gradients
            for (_, scenario, dtype), outcome in self.sources.items() if isinstance(outcome, Trace)
        }  # fmt: skip
        self._ask_sources([trial for trial in self.trials if trial.call.row], gradients)

    def _ask_sources(self, trials: Sequence[Trial], gradients: Mapping[tuple[str, str], Gradients]) -> None:
        jobs: dict[tuple[int, str, str], Job] = {}
        for trial in trials:
            for dtype in dict.fromkeys((*self.options.dtypes, *([NOISE_DTYPE] if self._free(trial) else []))):
                key = self._key(trial, dtype)
                if key not in jobs:
                    job = trial.source_job(self.options.steps_of(trial), dtype)
                    jobs[key] = replace(job, gradients=_first(gradients.get((trial.scenario.name, dtype)), job.steps))
        self.sources |= zip(jobs, _ask(self.sessions, self.framework, jobs.values()), strict=True)

    def _run_targets(self, engine: str, trials: Sequence[Trial], found: dict[int, list[Result]]) -> None:
        asked: list[tuple[Trial, str, Mode]] = []
        jobs: list[Job] = []
        for trial in trials:
            for dtype in self.options.dtypes:
                if engine.endswith("-real") and (dtype != "float32" or trial.scenario.sparse):
                    continue
                source = self.sources[self._key(trial, dtype)]
                if isinstance(source, Failure):
                    found[id(trial)].append(self._not_run(trial, engine, dtype, source.reason))
                    continue
                job = trial.target_job(self.options.steps_of(trial), dtype)
                for mode in (Mode.FORCED, Mode.FREE) if self._free(trial) else (Mode.FORCED,):
                    asked.append((trial, dtype, mode))
                    jobs.append(replace(job, gradients=source.gradients) if mode is Mode.FORCED else job)
        outcomes = _ask(self.sessions, engine, jobs)
        for (trial, dtype, mode), outcome in zip(asked, outcomes, strict=True):
            found[id(trial)].append(self._result(trial, engine, dtype, mode, outcome, found[id(trial)]))

    def _expectation(self, trial: Trial, dtype: str) -> Expectation:
        circumstances = Circumstances(dtype, self.options.steps_of(trial))
        return expectation(trial.plan, trial.scenario, canonical_values(trial.call), circumstances)

    def _not_run(self, trial: Trial, engine: str, dtype: str, reason: str, mode: Mode = Mode.FORCED) -> Result:
        expected = self._expectation(trial, dtype)
        return Result(trial.pair, engine, trial.scenario.name, dtype, mode, self.options.steps_of(trial), None,
                      expected.level, expected.causes, Verdict.NOT_RUN, reason)  # fmt: skip

    def _result(
        self, trial: Trial, engine: str, dtype: str, mode: Mode, outcome: Outcome, earlier: Sequence[Result]
    ) -> Result:
        source = self.sources[self._key(trial, dtype)]
        assert isinstance(source, Trace)
        if isinstance(outcome, Failure):
            return self._not_run(trial, engine, dtype, outcome.reason, mode)
        start = trial.scenario.start
        measured, expected = compare(source, outcome, start, dtype), self._expectation(trial, dtype)
        made = Result(trial.pair, engine, trial.scenario.name, dtype, mode, self.options.steps_of(trial), measured,
                      expected.level, expected.causes, Verdict.AS_EXPECTED)  # fmt: skip
        if mode is Mode.FORCED:
            verdict, reason = judge(measured, expected)
            return replace(made, verdict=verdict, reason=reason)
        forced = next(item for item in reversed(earlier) if item.dtype == dtype and item.mode is Mode.FORCED)
        return replace(made, verdict=forced.verdict, reason=forced.reason, noise_floor=self._noise(trial))

    def _noise(self, trial: Trial) -> float | None:
        """The drift between the source's own runs in float32 and float64; None if either is missing."""
        single, double = (self.sources.get(self._key(trial, dtype)) for dtype in ("float32", NOISE_DTYPE))
        if not isinstance(single, Trace) or not isinstance(double, Trace):
            return None
        return drift(double, single, trial.scenario.start)


def _first(gradients: Gradients | None, steps: int) -> Gradients | None:
    """The gradients of the first steps; None where there are none, or fewer."""
    if gradients is None:
        return None
    cut: Gradients = {
        name: Rows(value.indices[:steps], value.values[:steps]) if isinstance(value, Rows) else value[:steps]
        for name, value in gradients.items()
    }
    counts = [len(value.values if isinstance(value, Rows) else value) for value in cut.values()]
    return cut if min(counts) == steps else None


def _ask(sessions: Mapping[str, Session], engine: str, jobs: Iterable[Job]) -> list[Outcome]:
    """Run jobs in an engine. If the engine fails, every job fails with that reason."""
    listed = list(jobs)
    try:
        return list(sessions[engine].run(listed))
    except EngineError as error:
        return [Failure(str(error))] * len(listed)
