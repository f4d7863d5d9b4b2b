"""The command line: options and exit codes. Each command makes its imports itself, which keeps start-up short.

No `from __future__ import annotations` here: Typer would compile the text of each annotation twice.
"""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from typer.models import CommandInfo, OptionInfo

app = typer.Typer(
    name="optmap",
    help="Move optimizers between PyTorch, TensorFlow/Keras and MindSpore, and prove that they do the same arithmetic.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Mappings = Annotated[
    Optional[list[Path]], typer.Option("--mappings", metavar="DIR", help="A directory with further tables.")  # noqa: UP045
]


_NAMES = "torch|tensorflow|mindspore"


def _one_of(*words: str) -> Callable[[], list[str]]:
    """What a shell completes an option's value to."""
    return lambda: list(words)


def _named(option: str, names: str, help: str) -> "OptionInfo":
    """An option whose value is one of these words, or a framework that --mappings brings."""
    words = [word.partition("==")[0] for word in names.strip("[]").split("|")]
    found: OptionInfo = typer.Option(option, metavar=names, help=help, autocompletion=_one_of(*words))
    return found


_Baseline = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--baseline", metavar="FILE", help="Fail only on what is worse than in this file."),
]
_WriteBaseline = Annotated[
    bool, typer.Option("--write-baseline", help="Write what is found to the baseline, optmap-baseline.json by default.")
]


def _version(value: bool) -> None:
    if value:
        from optmap.commands.version import lines

        print(*lines(), sep="\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions of optmap, its tables, and frameworks.",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def translate(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, directories, or - for standard input.")],
    source: Annotated[
        str,
        _named(
            "--from", f"[auto|{_NAMES}]", "The source; auto is all but the target. A version may follow: torch==1.13."
        ),
    ] = "",
    to: Annotated[str, _named("--to", f"[{_NAMES}]", "The target; mindspore by default.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Rewrite the files.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print a unified diff.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only list the files that would change or have marks of --todo; exit 1 if any."),
    ] = False,
    output: Annotated[str | None, typer.Option("--output", metavar="PATH", help="Write the results to PATH.")] = None,
    prefer: Annotated[
        str,
        _named(
            "--prefer",
            "[auto|documented|faithful]",
            "The class to choose: the documented counterpart, one with the same arithmetic, or (auto) the documented one unless "
            "training would differ visibly.",
        ),
    ] = "",
    faithful: Annotated[bool, typer.Option("--faithful", help="The same as --prefer faithful.")] = False,
    params: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--params", metavar="EXPR", help="The parameters, for calls that are given none."),
    ] = None,
    rewrite_step: Annotated[
        bool,
        typer.Option(
            "--rewrite-step", help="Rewrite plain training steps as well; for MindSpore also their models and losses."
        ),
    ] = False,
    todo: Annotated[
        bool,
        typer.Option(
            "--todo",
            help="Write what is left to do into the result, as comments; a call that wants for one fact gets `...`.",
        ),
    ] = False,
    setting: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--set",
            metavar="NAME=N",
            help="For learning-rate schedules: steps_per_epoch=N or total_steps=N.",
            autocompletion=_one_of("steps_per_epoch=", "total_steps="),
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on warnings as well.")] = False,
    select: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--select", metavar="CODES", help="Report only these codes: OM203, OM4, unpacked-arguments."),
    ] = None,
    ignore: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--ignore", metavar="CODES", help="Do not report these codes."),
    ] = None,
    exclude: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--exclude", metavar="PATTERN", help="Leave files out, by a pattern as in .gitignore."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Report notes, reasons in full, and the tables' lines as well.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Report only errors.")] = False,
    statistics: Annotated[bool, typer.Option("--statistics", help="Count the reported codes.")] = False,
    format: Annotated[str, _named("--format", "[text|json|sarif|github]", "The form of the report.")] = "text",
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=0, help="Processes; 0: one per core.")] = 1,
    mappings: _Mappings = None,
    baseline: _Baseline = None,
    write_baseline: _WriteBaseline = False,
) -> None:
    """Rewrite optimizer constructor calls for another framework.

    \b
    Examples:
      optmap translate train.py > train_ms.py
      optmap translate src/ --to torch --diff
      optmap translate keras.py --params "net.trainable_params()"
      optmap translate src/ --check --ignore OM110 --statistics

    Exit codes: 0 all done; 1 something was refused (with --check: would change; with --strict: was warned about);
    2 wrong usage, or a path that cannot be read, decoded or parsed.
    """
    from optmap.commands import translate as command

    modes = {"--write": write, "--diff": diff, "--check": check, "--output": output is not None}
    raise typer.Exit(
        command.run(
            command.Request(
                paths, source or None, to or None, tuple(name for name, on in modes.items() if on), output,
                prefer, faithful, params, strict, format, jobs, tuple(mappings or ()), tuple(setting or ()), rewrite_step,
                tuple(select or ()), tuple(ignore or ()), tuple(exclude or ()), verbose, quiet, statistics, todo,
                baseline, write_baseline,
            )
        )
    )  # fmt: skip


@app.command()
def check(
    paths: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[PATH...]", help="Files whose optimizer calls are checked as written; no file is executed."
        ),
    ] = None,
    optimizer: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--optimizer", metavar="NAME", help="A class, such as Adam or torch.optim.Adam; may be repeated."),
    ] = None,
    schedule: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--schedule", metavar="NAME", help="A learning-rate schedule, such as StepLR; may be repeated."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every class and every hyperparameter of the tables.")
    ] = False,
    source: Annotated[
        Optional[list[str]],  # noqa: UP045
        _named("--from", f"[{_NAMES}]", "Only this framework's classes; may be repeated."),
    ] = None,
    to: Annotated[str, _named("--to", f"[{_NAMES}]", "The target; mindspore by default.")] = "",
    steps: Annotated[Optional[int], typer.Option("--steps", metavar="N", help="Training steps.")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the initial weights and the data.")] = 0,
    dtype: Annotated[str, _named("--dtype", "[float32|float64]", "Only this precision.")] = "",
    scenario: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--scenario", metavar="NAME", help="Only this scenario; may be repeated."),
    ] = None,
    setting: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter, such as eps=1e-3; may be repeated."),
    ] = None,
    require: Annotated[
        Optional[list[str]],  # noqa: UP045
        _named(
            "--require",
            "[torch|tensorflow|mindspore|mindspore-real]",
            "Fail if this engine cannot run; may be repeated.",
        ),
    ] = None,
    python: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--python", metavar="ENGINE=INTERPRETER", help="Run an engine with another Python interpreter."),
    ] = None,
    fail_on: Annotated[
        str,
        _named(
            "--fail-on",
            "[worse|divergent]",
            "Fail where a run is not as the tables predict, or also where it is DIVERGENT.",
        ),
    ] = "worse",
    time_limit: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--time-limit", metavar="SECONDS", help="What is not run by then is NOT_RUN."),
    ] = None,
    format: Annotated[str, _named("--format", "[text|json|junit|github|markdown]", "The form of the report.")] = "text",
    report: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--report", metavar="FILE.html", help="Write an HTML report as well."),
    ] = None,
    mappings: _Mappings = None,
    baseline: _Baseline = None,
    write_baseline: _WriteBaseline = False,
) -> None:
    """Train the same model with an optimizer and with its translation, and report how far the two diverge.

    \b
    Examples:
      optmap check --optimizer AdamW
      optmap check train.py --set lr=0.1
      optmap check --all --require torch --report check.html

    Exit codes: 0 everything ran as the tables predict; 1 something did not (with --fail-on divergent: or diverged);
    2 wrong usage, nothing ran, or a required engine is missing.
    """
    from optmap.commands import check as command

    raise typer.Exit(
        command.run(
            command.Request(
                paths=paths or (), optimizers=optimizer or (), everything=everything, sources=source or (), to=to or None,
                steps=steps, seed=seed, dtypes=(dtype,) if dtype else (), scenarios=scenario or (), set=setting or (),
                require=require or (), python=python or (), format=format, report=report, mappings=tuple(mappings or ()),
                schedules=schedule or (), fail_on=fail_on, time_limit=time_limit,
                baseline=baseline, write_baseline=write_baseline,
            )
        )
    )  # fmt: skip


@app.command()
def explain(
    api: Annotated[str, typer.Argument(help="A class, such as torch.optim.Adam or Adam.")],
    source: Annotated[
        str, _named("--from", f"[{_NAMES}]", "Only this framework's class; a version may follow: torch==1.13.")
    ] = "",
    to: Annotated[str, _named("--to", f"[{_NAMES}]", "The framework to compare with; all others by default.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every class of a framework, not only the usual one.")
    ] = False,
    format: Annotated[str, _named("--format", "[text|json|markdown|html]", "The form of the report.")] = "text",
    mappings: _Mappings = None,
) -> None:
    """Show a class and its counterparts side by side, with the causes of differences and what to do about them.

    \b
    Examples:
      optmap explain torch.optim.AdamW --to mindspore
      optmap explain Adam --from torch==1.13 --all
    """
    from optmap.commands import explain as command

    raise typer.Exit(command.run(api, source or None, to or None, everything, format, tuple(mappings or ())))


@app.command("list")
def list_(
    source: Annotated[str, _named("--from", f"[{_NAMES}]", "Only this framework's classes.")] = "",
    to: Annotated[str, _named("--to", f"[{_NAMES}]", "Only counterparts in this framework.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what differs as well.")] = False,
    format: Annotated[str, _named("--format", "[text|json]", "The form of the report.")] = "text",
    mappings: _Mappings = None,
) -> None:
    """Print the support matrix: every class and its counterparts.

    \b
    Examples:
      optmap list --from torch --to mindspore
      optmap list --from torch==1.13 --format json
    """
    from optmap.commands import matrix

    raise typer.Exit(matrix.run(source or None, to or None, verbose, format, tuple(mappings or ())))


@app.command()
def audit(
    framework: Annotated[
        Optional[list[str]],  # noqa: UP045
        _named("--framework", f"[{_NAMES}]", "Only this framework, which must be installed; may be repeated."),
    ] = None,
    python: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--python", metavar="ENGINE=INTERPRETER", help="Audit a framework of another Python interpreter."),
    ] = None,
    format: Annotated[str, _named("--format", "[text|json|github]", "The form of the report.")] = "text",
    mappings: _Mappings = None,
) -> None:
    """Compare the tables with the signatures of the installed frameworks.

    Exit codes: 0 all equal; 1 tables and reality differ; 2 wrong usage, no framework is installed, or a named one is not.
    """
    from optmap.commands import audit as command

    raise typer.Exit(command.run(framework or (), python or (), format, tuple(mappings or ())))


@app.command("convert-state")
def convert_state(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A saved state: .pt, .keras, .h5, .npz or .ckpt.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The file to write: .pt, .npz or .ckpt.")],
    optimizer: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="CALL",
            help="The class that saved it, with the arguments that the file lacks: Adam(beta_1=0.5).",
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="mindspore (the default), torch, tensorflow, or a class.")] = "",
    map: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--map", metavar="FILE.yaml", help="The parameters, in the order of the target's optimizer."),
    ] = None,
    parameter: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--parameter", metavar="FROM=TO[:transpose]", help="One parameter in place of a map; in their order."
        ),
    ] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="The target has the same parameters in that order.")
    ] = False,
    steps: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--steps", metavar="N", help="The steps made so far, where the source does not count them."),
    ] = None,
    entry: Annotated[str, typer.Option("--entry", metavar="KEY", help="Where the state stands in the file.")] = "",
    python: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--python", metavar="FRAMEWORK=INTERPRETER", help="The Python interpreter that has a framework."),
    ] = None,
    mappings: _Mappings = None,
) -> None:
    """Convert an optimizer's saved state, so that training goes on in another framework; no code in the file is run.

    Exit codes: 0 written; 1 it cannot be converted, and nothing was written; 2 wrong usage, such as a file that is not there.
    """
    from optmap.commands import convert_state as command

    raise typer.Exit(
        command.run(
            command.Request(
                source, target, optimizer, to, map, tuple(parameter or ()), in_order, steps, entry, tuple(python or ()),
                tuple(mappings or ()),
            )
        )
    )  # fmt: skip


@app.command()
def rules(
    code: Annotated[str, typer.Argument(help="A code such as OM203, or a name such as unpacked-arguments.")] = "",
    format: Annotated[str, _named("--format", "[text|json]", "The form of the report.")] = "text",
) -> None:
    """List the diagnostic codes with their meaning; for one code also an example and the remedy."""
    from optmap.commands import rules as command

    raise typer.Exit(command.run(code or None, format))


@app.command()
def docs(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="The directory to write the pages to.")],
    names: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[API...]", help="Classes, such as torch.optim.Adam; all by default."),
    ] = None,
    mappings: _Mappings = None,
) -> None:
    """Write a Markdown page for each pair of classes, with code that was run and the measured divergence."""
    from optmap.commands import docs as command

    raise typer.Exit(command.run(names or [], output, tuple(mappings or ())))


@app.command()
def lsp() -> None:
    """Serve an editor over the Language Server Protocol, on standard input and output; needs the extra `lsp`."""
    raise typer.Exit(_serve("editor", "lsp"))


@app.command()
def mcp() -> None:
    """Serve an assistant over the Model Context Protocol, on standard input and output; needs the extra `mcp`."""
    raise typer.Exit(_serve("assistant", "mcp"))


def _serve(server: str, extra: str) -> int:
    """Run a server; where its packages are missing, say which extra brings them."""
    from importlib import import_module

    try:
        return int(import_module(f"optmap.servers.{server}").run())
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "optmap":
            raise
        sys.stderr.write(f"optmap: error: this command needs {error.name}; install optmap's extra `{extra}`\n")
        return 2


def process() -> None:
    """Run the command line, and end the process at once: Python takes longer to put itself away than to translate a file."""
    from contextlib import suppress

    try:
        main()
    except SystemExit as end:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def main() -> None:
    """Run the command line. Users see no traceback: an unexpected error is reported in two lines, with exit code 3."""
    gc.disable()  # imports and syntax trees leave few cycles, and collecting them takes a third of the time
    _open_streams()
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("optmap: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        _close_quietly()
        sys.exit(141)
    except OSError as error:
        sys.stderr.write(f"optmap: error: {error.strerror or error}\n")
        _close_quietly()
        sys.exit(2)
    except Exception as error:
        if os.environ.get("OPTMAP_DEBUG"):
            raise
        from optmap.shown import shown

        sys.stderr.write(
            f"optmap: internal error: {type(error).__name__}: {shown(error)}\n"
            "This is a bug in optmap. Set OPTMAP_DEBUG=1 to see the traceback, and please report it.\n"
        )
        sys.exit(3)


def _run() -> None:
    """Run the command and flush its output here, where main() handles a full disk or a closed pipe."""
    named = [item for item in app.registered_commands if sys.argv[1:2] == [_name_of(item)]]
    app.registered_commands = named or app.registered_commands  # building all of them takes longer than running one
    try:
        app()
    except SystemExit:
        sys.stdout.flush()
        raise


def _name_of(command: "CommandInfo") -> str:
    return command.name or (command.callback.__name__ if command.callback else "")


def _open_streams() -> None:
    """Escape characters that the terminal's encoding lacks; replace a stream that the caller closed by the null device."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open as long as the process)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _close_quietly() -> None:
    """Keep Python from reporting the closed pipe again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
