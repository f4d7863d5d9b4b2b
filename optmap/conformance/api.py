"""`optmap.check`: the whole check as one function, for Python users and for the command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from optmap.conformance.calls import Call
from optmap.conformance.catalog import catalog
from optmap.conformance.engines import ENGINES
from optmap.conformance.filecalls import file_calls
from optmap.conformance.pool import EngineError, Session
from optmap.conformance.results import Refused, Report, Result
from optmap.conformance.run import Options, run_trials
from optmap.conformance.scenario import Scenario
from optmap.conformance.schedule_check import SchedulePair, run_pairs
from optmap.conformance.schedule_files import Wishes, wished_pairs
from optmap.conformance.select import CheckError, find_apis, table_calls, with_settings
from optmap.conformance.simulate import DTYPES
from optmap.conformance.trials import Trials
from optmap.conformance.verdict import find_better
from optmap.mapping.model import Api, Framework, Literal, MappingSet
from optmap.mapping.yamlnodes import nearest

STEPS: Final = 100
ROW_STEPS: Final = 40
MOST_STEPS: Final = 100_000


def check(
    optimizers: Iterable[str] = (),
    *,
    paths: Iterable[str | Path] = (),
    everything: bool = False,
    sources: Iterable[Framework | str] | None = None,
    to: Framework | str = Framework.MINDSPORE,
    steps: int | None = None,
    seed: int = 0,
    dtypes: Sequence[str] = DTYPES,
    scenarios: Iterable[str] | None = None,
    hyperparameters: Mapping[str, Literal] | None = None,
    require: Iterable[str] = (),
    interpreters: Mapping[str, str] | None = None,
    tables: MappingSet | None = None,
    schedules: Iterable[str] = (),
) -> Report:
    """Run optimizers and what the translator makes of them side by side, and judge the difference.

    Args:
        optimizers: classes of the sources, such as "Adam" or "torch.optim.Adam", checked at their defaults.
        paths: Python files whose optimizer calls are checked as they are written; no file is executed.
        everything: check every class of the tables, or the named ones, with each hyperparameter away from its default in
            turn, against every class of the target that can express the call.
        sources: frameworks to translate from; all but the target by default.
        to: framework to translate to.
        steps: training steps, at least 1; 100 by default, 40 where a single hyperparameter is moved.
        seed: seed of the scenarios' weights and data, at least 0.
        dtypes: "float32", "float64" or both; BETTER needs float64.
        scenarios: names out of `optmap.conformance.catalog.catalog()`; all by default.
        hyperparameters: values by name, for the named optimizers, or for what a file leaves open.
        require: engines that must be there ("torch", "tensorflow", "mindspore", "mindspore-real").
        interpreters: Python interpreters by engine, for frameworks that live in other environments.
        tables: mapping tables; optmap's own by default.
        schedules: learning-rate schedules, such as "StepLR", whose rates are compared; files and `everything` bring theirs.

    Returns:
        A Report, whose results hold the divergence, the expected level with its causes, and the verdict. A framework that
        is not installed makes its results NOT_RUN.

    Raises:
        CheckError: an argument that cannot be meant: an unknown optimizer, scenario, engine or hyperparameter, a number out
            of range, a file that cannot be parsed, a required engine that cannot be used. A ValueError.
    """
    if tables is None:
        from optmap.mapping.load import load

        tables = load()
    target = _framework(to)
    wanted = frozenset(map(_framework, sources)) if sources is not None else frozenset(Framework) - {target}
    if target in wanted:
        raise CheckError(f"found {target} both as source and as target, expected two different frameworks")
    chosen = _scenarios(scenarios, seed)
    options = _options(steps, dtypes)
    settings = dict(hyperparameters or {})
    named, files = list(optimizers), list(map(Path, paths))
    wishes = Wishes(tuple(schedules), tuple(files), everything and not named, wanted, target, steps or STEPS, settings)
    rated, left_alone, used = wished_pairs(tables, wishes)
    calls, refused = _calls(tables, named, files, everything, wanted, target, settings, used, alone=bool(wishes.names))
    trials = Trials(tables, chosen, every_target=everything)
    found = trials.find((call, target) for call in calls)
    needed = {
        framework.value for trial in found for framework in (trial.plan.source.framework, trial.plan.target.framework)
    }
    needed |= {api.framework.value for pair in rated for api in (pair.source, pair.target)}
    results, versions, failures = _run(
        found, rated, _engines(needed, require, interpreters or {}), options, list(require)
    )
    if scenarios is None:
        results = find_better(results)
    return Report(versions, failures, tuple(results), (*refused, *trials.refused, *left_alone))


def _run(
    trials: Sequence[object],
    rated: Sequence[SchedulePair],
    engines: Mapping[str, str | None],
    options: Options,
    require: Sequence[str],
) -> tuple[list[Result], dict[str, str | None], dict[str, str]]:
    """Start the engines side by side, run everything, and say which engines could be used."""
    versions: dict[str, str | None] = {}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(closing(Session(name, interpreter))) for name, interpreter in engines.items()
        }
        for name in require:
            _version(name, sessions[name], versions, failures)
            if name in failures:
                raise CheckError(f"the required engine {name} cannot be used: {failures[name]}")
        results = run_trials(trials, sessions, options)  # type: ignore[arg-type]
        results += run_pairs(rated, sessions, options.steps)
        for name, session in sessions.items():
            _version(name, session, versions, failures)
    return results, {name: versions[name] for name in ENGINES if name in versions}, failures


def _version(name: str, session: Session, versions: dict[str, str | None], failures: dict[str, str]) -> None:
    try:
        versions[name] = session.version()
    except EngineError as error:
        versions[name] = None
        failures[name] = str(error)


def _engines(needed: set[str], require: Iterable[str], interpreters: Mapping[str, str]) -> dict[str, str | None]:
    """The engines to start, each with its interpreter (None for this one). MindSpore elsewhere is the real one."""
    given = {("mindspore-real" if name == "mindspore" else name): path for name, path in interpreters.items()}
    for name in (*require, *given):
        if name not in ENGINES:
            raise CheckError(f"unknown engine {name!r}{nearest(name, ENGINES)}")
    real = {"mindspore-real"} & {*require, *given}
    names = needed | set(require) | (real if "mindspore" in needed else set())
    return {name: given.get(name) for name in ENGINES if name in names}


def _framework(name: Framework | str) -> Framework:
    try:
        return Framework(name)
    except ValueError:
        raise CheckError(f"unknown framework {name!r}{nearest(str(name), Framework)}") from None


def _scenarios(names: Iterable[str] | None, seed: int) -> dict[str, Scenario]:
    if seed < 0:
        raise CheckError(f"found seed {seed}, expected 0 or more")
    known = catalog(seed)
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise CheckError(f"unknown scenario {name!r}{nearest(name, known)}")
    return {name: known[name] for name in known if name in wanted}


def _options(steps: int | None, dtypes: Sequence[str]) -> Options:
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise CheckError(f"found {steps} steps, expected 1 to {MOST_STEPS}")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise CheckError(f"unknown dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    return Options(steps or STEPS, steps or ROW_STEPS, tuple(dict.fromkeys(dtypes)) or DTYPES)


def _all(tables: MappingSet, sources: frozenset[Framework]) -> list[Api]:
    return [api for api in tables.apis.values() if api.framework in sources]


def _calls(
    tables: MappingSet, optimizers: Sequence[str], paths: Sequence[Path], everything: bool,
    sources: frozenset[Framework], target: Framework, settings: dict[str, Literal], taken: set[str], *, alone: bool,
) -> tuple[list[Call], list[Refused]]:  # fmt: skip
    """All calls that were asked for, and those of files that cannot be bound.

    Schedules may have `taken` settings, and may be wanted `alone`.
    """
    if not (optimizers or paths or everything or alone):
        raise CheckError("found nothing to check, expected files, --optimizer NAME, --schedule NAME or --all")
    settings = {name: value for name, value in settings.items() if name not in taken}
    named = [Call(api) for name in optimizers for api in find_apis(tables, name, sources)]
    calls = table_calls(tables, [call.api for call in named] or _all(tables, sources)) if everything else named
    if settings and calls:
        calls = with_settings(tables, calls, settings)
    refused: list[Refused] = []
    used: set[str] = set()
    for path in paths:
        found, unbound, names = file_calls(path, tables, sources, target, settings)
        calls += found
        refused += unbound
        used |= names
    unused = set(settings) - used
    if paths and not (optimizers or everything) and unused and calls:
        raise CheckError(f"--set {min(unused)}: found a name that no call here takes")
    return calls, refused
