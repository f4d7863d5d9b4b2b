"""Runs trials (the source, the target with the source's gradients, the target with its own), compares and judges them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from optmap.conformance.calls import canonical_values
from optmap.conformance.compare import compare, course, drift, exploded, left_finite
from optmap.conformance.expect import Circumstances, expectation, judge
from optmap.conformance.explain import DTYPE, NOTHING, Explainer
from optmap.conformance.pool import Session
from optmap.conformance.results import Level, Mode, Result, Verdict, internal_error
from optmap.conformance.resumed import second_half
from optmap.conformance.scenario import Failure, Gradients, Job, Outcome, Rows, Trace
from optmap.conformance.trials import Trial, sources_of
from optmap.mapping.sections import Api
from optmap.mapping.state import StateError
from optmap.processes import WorkerError

NOISE_DTYPE: Final = "float64"
SHRUNK: Final = (1e-2, 1e-4, 1e-6)
"""Factors on the loss, tried in turn where weights explode, as those of SGD do with a large learning rate."""

Progress: TypeAlias = Callable[[int, str, str], None]
"""Called with how many more comparisons are done, the engine that works next, and on what."""


@dataclass(frozen=True)
class RunOptions:
    """How every trial is run: `dtypes` get verdicts; `row_steps` replaces `steps` for calls with one hyperparameter set.

    With `courses` the results hold how the runs move.
    """

    steps: int
    row_steps: int
    dtypes: tuple[str, ...]
    free: bool = True
    courses: bool = False

    def steps_of(self, trial: Trial) -> int:
        """The number of steps of a trial."""
        return self.row_steps if trial.call.row else self.steps


def run_trials(
    trials: Sequence[Trial], sessions: Mapping[str, Session], options: RunOptions, progress: Progress = lambda *_: None
) -> list[Result]:
    """Run all trials, the source frameworks side by side, and return the results in the order of the trials.

    `progress` is called from several threads.
    """
    shares = list(sources_of([trial for trial in trials if not trial.pair.not_run]).values())
    with ThreadPoolExecutor(max(len(shares), 1)) as pool:
        try:
            found = list(pool.map(lambda share: _share(share, sessions, options, progress), shares))
        except BaseException:  # an interrupt must not wait for busy workers
            for session in sessions.values():
                session.close()
            raise
    by_trial = {
        id(trial): [_unmade(trial, trial.plan.target.framework, options.dtypes[0], Mode.FORCED, options)]
        for trial in trials if trial.pair.not_run
    }  # fmt: skip
    for results in found:
        by_trial |= results
    return [result for trial in trials for result in by_trial[id(trial)]]


def _unmade(trial: Trial, engine: str, dtype: str, mode: Mode, options: RunOptions) -> Result:
    """The result of a comparison that was not made."""
    return Result(trial.pair, engine, trial.scenario.name, dtype, mode, options.steps_of(trial), None, Level.EQUIVALENT, (),
                  Verdict.NOT_RUN, trial.pair.not_run or None)  # fmt: skip


def _share(
    trials: Sequence[Trial], sessions: Mapping[str, Session], options: RunOptions, progress: Progress
) -> dict[int, list[Result]]:
    """Run the trials of one source framework class by class, so that targets start before all sources have finished."""
    found: dict[int, list[Result]] = {}
    batches: dict[str, list[Trial]] = {}
    for trial in trials:
        batches.setdefault(trial.plan.source.name, []).append(trial)
    for batch in batches.values():
        found |= _Batch(batch, sessions, options, progress).results()
        progress(len(batch), "", "")
    return found


class _Batch:
    """The trials of one source class, run with as few requests to the workers as possible."""

    def __init__(
        self, trials: Sequence[Trial], sessions: Mapping[str, Session], options: RunOptions, progress: Progress
    ) -> None:
        self.trials = trials
        self.sessions = sessions
        self.options = options
        self.progress = progress
        self.sources: dict[tuple[int, str, str], Outcome] = {}
        self.explainer = Explainer()
        self.found: dict[int, list[Result]] = {id(trial): [] for trial in trials}
        self.scales: dict[str, float] = {}

    def results(self) -> dict[int, list[Result]]:
        """The results by the identity of their trials."""
        self._run_sources()
        for engine in self.sessions:
            mine = [trial for trial in self.trials if trial.plan.target.framework == engine.partition("-")[0]]
            if mine:
                self._run_targets(engine, mine)
        return self.found

    def _free(self, trial: Trial) -> bool:
        return self.options.free and not trial.call.row and trial.carry is None and not trial.scenario.dtype

    def _dtypes(self, trial: Trial) -> tuple[str, ...]:
        return (trial.scenario.dtype,) if trial.scenario.dtype else self.options.dtypes

    def _key(self, trial: Trial, dtype: str) -> tuple[int, str, str]:
        return id(trial.call), trial.scenario.name, dtype

    def _run_sources(self) -> None:
        """Run the source once for each call, scenario and dtype.

        A call of the user or of the defaults is a free run. A row (one hyperparameter off its default) replays the gradients
        of its class's default call if there are any, because rows are only compared in forced runs.
        """
        whole = [trial for trial in self.trials if not trial.call.row]
        self._ask_sources(whole, {})
        for factor in SHRUNK:
            if not (wild := [trial for trial in whole if self._exploded(trial)]):
                break
            self.scales |= dict.fromkeys((trial.scenario.name for trial in wild), factor)
            names = {trial.scenario.name for trial in wild}
            self._ask_sources([trial for trial in whole if trial.scenario.name in names], {})
        gradients = {
            (scenario, dtype): outcome.gradients
            for (_, scenario, dtype), outcome in self.sources.items() if isinstance(outcome, Trace)
        }  # fmt: skip
        self._ask_sources([trial for trial in self.trials if trial.call.row], gradients)

    def _exploded(self, trial: Trial) -> bool:
        found = [self.sources.get(self._key(trial, dtype)) for dtype in self._dtypes(trial)]
        return any(isinstance(item, Trace) and exploded(item, trial.scenario.start) for item in found)

    def _scaled(self, trial: Trial) -> Trial:
        """The trial with a smaller loss, where the training would explode."""
        factor, scenario = self.scales.get(trial.scenario.name, 1.0), trial.scenario
        if factor == 1.0:
            return trial
        smaller = replace(scenario, scale=scenario.scale * factor, gradient_size=scenario.gradient_size * factor)
        return replace(trial, scenario=smaller)

    def _ask_sources(self, trials: Sequence[Trial], gradients: Mapping[tuple[str, str], Gradients]) -> None:
        jobs: dict[tuple[int, str, str], Job | Failure] = {}
        for trial in trials:
            for dtype in dict.fromkeys((*self._dtypes(trial), *([NOISE_DTYPE] if self._free(trial) else []))):
                replayed = gradients.get((trial.scenario.name, dtype))
                if self._key(trial, dtype) not in jobs:
                    jobs[self._key(trial, dtype)] = self._job(trial, trial.plan.source, dtype, replayed)
        if jobs:
            framework = trials[0].plan.source.framework
            self.progress(0, framework, trials[0].plan.source.name)
            self.sources |= zip(jobs, _ask(self.sessions, framework, jobs.values()), strict=True)

    def _job(self, trial: Trial, api: Api, dtype: str, gradients: Gradients | None) -> Job | Failure:
        """A job that replays gradients, where there are enough of them."""
        steps = self.options.steps_of(trial)
        try:
            return replace(self._scaled(trial).job(api, steps, dtype), gradients=_first(gradients, steps))
        except Exception as error:
            return Failure(internal_error(error))

    def _forced(self, trial: Trial, dtype: str, source: Trace) -> Job | Failure:
        """The job that replays the source's gradients, from the source's state where the target starts in the middle."""
        made = self._job(trial, trial.plan.target, dtype, source.gradients)
        if trial.carry is None or isinstance(made, Failure):
            return made
        try:
            return replace(made, middle=trial.carry.middle(source, trial.halfway(made.steps)))
        except StateError as error:
            return Failure(str(error))

    def _run_targets(self, engine: str, trials: Sequence[Trial]) -> None:
        asked: list[tuple[Trial, str, Mode]] = []
        jobs: list[Job | Failure] = []
        for trial in trials:
            for dtype in self._dtypes(trial):
                if engine.endswith("-real") and (dtype != "float32" or trial.scenario.sparse):
                    continue
                source = self.sources[self._key(trial, dtype)]
                asked.append((trial, dtype, Mode.FORCED))
                if isinstance(source, Failure):
                    jobs.append(source)
                    continue
                jobs.append(self._forced(trial, dtype, source))
                if self._free(trial):
                    asked.append((trial, dtype, Mode.FREE))
                    jobs.append(self._job(trial, trial.plan.target, dtype, None))
        names = list(dict.fromkeys(trial.plan.target.name for trial in trials))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        self.progress(0, engine, f"{trials[0].plan.source.name} -> {names[0]}{more}")
        for (trial, dtype, mode), outcome in zip(asked, _ask(self.sessions, engine, jobs), strict=True):
            unmade = _unmade(trial, engine, dtype, mode, self.options)
            try:
                made = self._result(trial, unmade, outcome)
            except Exception as error:
                made = replace(unmade, reason=internal_error(error))
            self.found[id(trial)].append(made)

    def _result(self, trial: Trial, unmade: Result, outcome: Outcome) -> Result:
        dtype, values = unmade.dtype, canonical_values(trial.call)
        expected = expectation(trial.plan, self._scaled(trial).scenario, values, Circumstances(dtype, unmade.steps))
        scale = self.scales.get(trial.scenario.name, 1.0)
        made = replace(unmade, expected=expected.level, causes=expected.causes, scale=scale)
        if isinstance(outcome, Failure):
            return replace(made, reason=outcome.reason)
        made = replace(made, seconds=outcome.seconds)
        source = self.sources[self._key(trial, dtype)]
        assert isinstance(source, Trace)
        start, whole = trial.scenario.start, source
        if halfway := trial.halfway(unmade.steps):
            source, start = second_half(source, halfway)
        measured = compare(source, outcome, start, dtype)
        if self.options.courses:
            made = replace(made, course=course(source, outcome, start, dtype))
        if made.mode is Mode.FORCED:
            explanation = NOTHING
            if trial.rule is not None and dtype == DTYPE:
                explanation = self.explainer.explain(trial.rule, trial.plan, trial.scenario, whole, outcome, halfway)
            verdict, reason = _not_finite(source, outcome) or judge(measured, expected, explanation)
            return replace(made, divergence=measured, verdict=verdict, reason=reason, remainder=explanation.remainder)
        forced = self.found[id(trial)][-1]
        return replace(
            made, divergence=measured, verdict=forced.verdict, reason=forced.reason, noise_floor=self._noise(trial)
        )

    def _noise(self, trial: Trial) -> float | None:
        """The drift between the source's own runs in float32 and float64; None if either is missing."""
        single, double = (self.sources.get(self._key(trial, dtype)) for dtype in ("float32", NOISE_DTYPE))
        if not isinstance(single, Trace) or not isinstance(double, Trace):
            return None
        return drift(double, single, trial.scenario.start)


def _not_finite(source: Trace, target: Trace) -> tuple[Verdict, str] | None:
    """The verdict on runs of which one leaves the finite numbers."""
    lost = {side: step for side, trace in (("source", source), ("target", target)) if (step := left_finite(trace))}
    if not lost:
        return None
    sides = " and ".join(f"in the {side} from step {step} on" for side, step in lost.items())
    return Verdict.DIVERGED, f"the weights are not finite {sides}; try a smaller learning rate"


def _first(gradients: Gradients | None, steps: int) -> Gradients | None:
    """The gradients of the first steps; None where there are none, or fewer."""
    if gradients is None:
        return None
    counts = {len(value.values if isinstance(value, Rows) else value) for value in gradients.values()}
    if counts == {steps}:
        return gradients
    return None if min(counts) < steps else {
        name: Rows(value.indices[:steps], value.values[:steps]) if isinstance(value, Rows) else value[:steps]
        for name, value in gradients.items()
    }  # fmt: skip


def _ask(sessions: Mapping[str, Session], engine: str, jobs: Iterable[Job | Failure]) -> list[Outcome]:
    """Run jobs in an engine. If the engine fails, every job fails with that reason; jobs that failed before keep theirs."""
    listed = list(jobs)
    try:
        answers: Iterator[Outcome] = iter(sessions[engine].run([job for job in listed if isinstance(job, Job)]))
    except Exception as error:
        reason = str(error) if isinstance(error, WorkerError) else internal_error(error)
        answers = iter([Failure(reason)] * len(listed))
    return [job if isinstance(job, Failure) else next(answers) for job in listed]
