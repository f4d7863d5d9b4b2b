"""The options of `optmap check`."""

from typing import Annotated, NamedTuple

import typer

from optmap.cli.options import NAMES, Baseline, Mappings, WriteBaseline, flag, option


class Request(NamedTuple):
    """Train the same model with an optimizer and with its translation, and report how far the two diverge.

    \b
    Examples:
      optmap check --optimizer AdamW
      optmap check train.py --set lr=0.1
      optmap check --all --require torch --report check.html

    Exit codes: 0 everything ran as the tables predict; 1 something did not (with --fail-on divergent: or diverged);
    2 wrong usage, nothing ran, or a required engine is missing.
    """

    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[PATH...]", help="Files whose optimizer calls are checked as written; no file is executed."
        ),
    ] = []
    optimizers: Annotated[
        list[str], option("--optimizer", "NAME", "A class, such as Adam or torch.optim.Adam; may be repeated.")
    ] = []
    schedules: Annotated[
        list[str], option("--schedule", "NAME", "A learning-rate schedule, such as StepLR; may be repeated.")
    ] = []
    everything: Annotated[bool, flag("--all", "Every class and every hyperparameter of the tables.")] = False
    sources: Annotated[
        list[str], option("--from", f"[{NAMES}]", "Only this framework's classes; may be repeated.")
    ] = []
    to: Annotated[str, option("--to", f"[{NAMES}]", "The target; mindspore by default.")] = ""
    steps: Annotated[int | None, option("--steps", "N", "Training steps.")] = None
    seed: Annotated[int, option("--seed", "N", "Seed of the initial weights and the data.")] = 0
    dtype: Annotated[str, option("--dtype", "[float32|float64]", "Only this precision.")] = ""
    scenarios: Annotated[list[str], option("--scenario", "NAME", "Only this scenario; may be repeated.")] = []
    set: Annotated[
        list[str], option("--set", "NAME=VALUE", "A hyperparameter, such as eps=1e-3; may be repeated.")
    ] = []
    require: Annotated[
        list[str],
        option(
            "--require",
            "[torch|tensorflow|mindspore|mindspore-real]",
            "Fail if this engine cannot run; may be repeated.",
        ),
    ] = []
    python: Annotated[
        list[str], option("--python", "ENGINE=INTERPRETER", "Run an engine with another Python interpreter.")
    ] = []
    fail_on: Annotated[
        str,
        option(
            "--fail-on",
            "[worse|divergent]",
            "Fail where a run is not as the tables predict, or also where it is DIVERGENT.",
        ),
    ] = "worse"
    time_limit: Annotated[float | None, option("--time-limit", "SECONDS", "What is not run by then is NOT_RUN.")] = None
    format: Annotated[str, option("--format", "[text|json|junit|github|markdown]", "The form of the report.")] = "text"
    report: Annotated[str | None, option("--report", "FILE.html", "Write an HTML report as well.")] = None
    mappings: Mappings = []
    baseline: Baseline = None
    write_baseline: WriteBaseline = False
