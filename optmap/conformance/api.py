"""`optmap.check`: the whole check as one function, for Python users and for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from threading import Lock

from optmap.arguments import several
from optmap.conformance.asked import (
    choose_scenarios,
    directions,
    read_fail_on,
    run_options,
    time_limit_of,
    wished_calls,
)
from optmap.conformance.engines import ENGINES
from optmap.conformance.execution import Flip, flips, run_flips, schedule_flips
from optmap.conformance.expect import find_better, rejecting
from optmap.conformance.pool import Session
from optmap.conformance.results import FailOn, Report, Result
from optmap.conformance.run import Progress, RunOptions, run_trials
from optmap.conformance.schedule_check import SchedulePair, run_pairs
from optmap.conformance.schedule_files import rates_of_files, wished_pairs
from optmap.conformance.select import CheckError, Wishes
from optmap.conformance.simulate import DTYPES
from optmap.conformance.trials import Trial, Trials
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_schedules
from optmap.mapping.model import MappingSet
from optmap.mapping.records import Literal
from optmap.nearest import nearest
from optmap.processes import WorkerError


def check(
    optimizers: Iterable[str] | str = (),
    *,
    paths: Iterable[str | Path] | str | Path = (),
    everything: bool = False,
    sources: Iterable[Framework | str] | str | None = None,
    to: Framework | str | None = None,
    steps: int | None = None,
    seed: int = 0,
    dtypes: Sequence[str] | str = DTYPES,
    scenarios: Iterable[str] | str | None = None,
    hyperparameters: Mapping[str, Literal] | None = None,
    require: Iterable[str] | str = (),
    interpreters: Mapping[str, str] | None = None,
    tables: MappingSet | None = None,
    progress: Callable[[int, int], None] | None = None,
    schedules: Iterable[str] | str = (),
    fail_on: FailOn | str = FailOn.WORSE,
    courses: bool = False,
    time_limit: float | None = None,
    doing: Callable[[str, str], None] | None = None,
) -> Report:
    """Run optimizers and their translations side by side, and judge the difference.

    Args:
        optimizers: source classes, such as "Adam" or "torch.optim.Adam", checked at their defaults.
        paths: Python files whose optimizer calls are checked as written; no file is executed.
        everything: check every class of the tables, or the named ones, with each hyperparameter set off its default in
            turn, against every class of the target that can express the call.
        sources: frameworks to translate from; all but the target by default.
        to: framework to translate to; by default MindSpore, or with `everything` each framework in turn.
        steps: training steps, at least 1; by default 100, and 40 for calls that set one hyperparameter off its default.
        seed: seed of the scenarios' weights and data, at least 0.
        dtypes: "float32", "float64" or both; BETTER needs float64.
        scenarios: names from `optmap.conformance.catalog.catalog()`; by default all but the rare ones, of which `everything`
            adds missing gradients.
        hyperparameters: values by name, for the named optimizers, or for arguments whose value a file does not show.
        require: engines that must be usable ("torch", "tensorflow", "mindspore", "mindspore-real").
        interpreters: Python interpreters by engine, for frameworks that are installed in other environments.
        tables: mapping tables; optmap's own by default.
        progress: called with the numbers of finished and of all comparisons (a call in one scenario, a schedule, an argument
            that affects execution alone); from several threads.
        schedules: learning-rate schedules, such as "StepLR", whose rates are compared, by default until well past their
            end; `paths` and `everything` add theirs.
        fail_on: "worse": a verdict other than AS_EXPECTED fails the check; "divergent": so does every run that was measured
            as DIVERGENT, even where the tables predict it.
        time_limit: seconds for the whole check; what is not run by then is NOT_RUN.
        courses: let each result hold how the two runs move from step to step.
        doing: called with the name of an engine, and with what it is given next; from several threads.

    Returns:
        A Report, whose results hold the divergence, the expected level with its causes, and the verdict. A framework that
        is not installed makes its results NOT_RUN.

    Raises:
        CheckError: an argument is invalid: an unknown optimizer, scenario, engine or hyperparameter, a number out
            of range, a file that cannot be parsed, a required engine that cannot be used. It is a ValueError.
        TypeError: an argument is of another type.
    """
    optimizers, schedules = several("optimizers", optimizers, str), several("schedules", schedules, str)
    paths, dtypes = several("paths", paths, str, Path), several("dtypes", dtypes, str)
    require = several("require", require, str)
    if tables is None:
        from optmap.mapping.load import load

        tables = load()
    wanted = directions(tables, several("sources", sources, str) if sources is not None else None, to, everything)
    chosen = choose_scenarios(several("scenarios", scenarios, str) if scenarios is not None else None, seed, everything)
    fails = read_fail_on(fail_on)
    options = replace(run_options(steps, dtypes), courses=courses)
    wishes = Wishes(tuple(optimizers), tuple(schedules), tuple(map(Path, paths)), everything, tuple(wanted), options.steps,
                    dict(hyperparameters or {}), steps)  # fmt: skip
    rated, left_alone, taken = wished_pairs(tables, wishes)
    calls, refused = wished_calls(tables, wishes, taken)
    trials = Trials(tables, chosen, every_target=everything, rates=rates_of_files(tables, rated))
    found = trials.find(calls)
    engines = _engines(_needed(found, rated), require, interpreters or {})
    flipped = flips(tables, (call.api for call, _ in calls)) if everything and scenarios is None else []
    flipped += (
        schedule_flips(load_schedules(tables.extra), (pair.source for pair in rated)) if flipped and rated else []
    )
    counter = _counter(progress, doing, len(found) + len(rated) + len(flipped))
    results, versions, failures = _run(
        found, rated, flipped, engines, options, require, counter, time_limit_of(time_limit)
    )
    if scenarios is None:
        results = find_better(results)
    if fails is FailOn.DIVERGENT:
        results = rejecting(results)
    return Report(versions, failures, tuple(results), (*refused, *trials.refused, *left_alone), fails, seed)


def _needed(trials: Sequence[Trial], rated: Sequence[SchedulePair]) -> set[str]:
    """The frameworks that take part."""
    plans = [api for trial in trials for api in (trial.plan.source, trial.plan.target)]
    return {str(api.framework) for api in plans} | {
        api.framework for pair in rated for api in (pair.source, pair.target)
    }


def _run(
    trials: Sequence[Trial], rated: Sequence[SchedulePair], flipped: Sequence[Flip], engines: Mapping[str, str | None],
    options: RunOptions, require: Sequence[str], progress: Progress, limit: float | None,
) -> tuple[list[Result], dict[str, str | None], dict[str, str]]:  # fmt: skip
    """Start the engines side by side, run everything, and report the engines' versions or failures."""
    versions: dict[str, str | None] = {}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(closing(_session(name, interpreter, limit)))
            for name, interpreter in engines.items()
        }
        progress(0, ", ".join(engines), "starts")
        for name in require:
            _version(name, sessions[name], versions, failures)
            if name in failures:
                raise CheckError(f"the required engine {name} cannot be used: {failures[name]}")
        results = run_trials(trials, sessions, options, progress)
        results += run_pairs(rated, sessions, progress)
        progress(0, "", "arguments that affect execution alone")
        results += run_flips(flipped, sessions)
        progress(len(flipped), "", "")
        for name, session in sessions.items():
            _version(name, session, versions, failures)
    return results, {name: versions[name] for name in ENGINES if name in versions}, failures


def _version(name: str, session: Session, versions: dict[str, str | None], failures: dict[str, str]) -> None:
    try:
        versions[name] = session.version()
    except WorkerError as error:
        versions[name] = None
        failures[name] = str(error)


def _engines(needed: set[str], require: Iterable[str], interpreters: Mapping[str, str]) -> dict[str, str | None]:
    """The engines to start with their interpreters (None: this one). Another interpreter's MindSpore is the real one."""
    given = {("mindspore-real" if name == "mindspore" else name): path for name, path in interpreters.items()}
    for name in (*require, *given):
        if name not in ENGINES:
            raise CheckError(f"unknown engine {name!r}{nearest(name, ENGINES)}")
    real = {"mindspore-real"} & {*require, *given}
    names = needed | set(require) | (real if "mindspore" in needed else set())
    return {name: given.get(name) for name in ENGINES if name in names}


def _counter(
    progress: Callable[[int, int], None] | None, doing: Callable[[str, str], None] | None, total: int
) -> Progress:
    """A counter that adds up what is done and reports the sum to `progress`, and what is going on to `doing`."""
    done = 0
    lock = Lock()

    def count(more: int, engine: str, what: str) -> None:
        nonlocal done
        with lock:
            done += more
            if doing is not None and what:
                doing(engine, what)
            if progress is not None and (more or not done):
                progress(done, total)

    return count


def _session(engine: str, interpreter: str | None, limit: float | None) -> Session:
    return Session(engine, interpreter) if limit is None else Session(engine, interpreter, total=limit)
