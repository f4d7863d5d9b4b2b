"""The options of `optmap translate`."""

from typing import Annotated, NamedTuple

import typer

from optmap.cli.options import NAMES, Baseline, Mappings, WriteBaseline, flag, option


class Request(NamedTuple):
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

    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, directories, or - for standard input.")]
    source: Annotated[
        str,
        option(
            "--from", f"[auto|{NAMES}]", "The source; auto is all but the target. A version may follow: torch==1.13."
        ),
    ] = ""
    to: Annotated[str, option("--to", f"[{NAMES}]", "The target; mindspore by default.")] = ""
    write: Annotated[bool, flag("--write", "Rewrite the files.")] = False
    diff: Annotated[bool, flag("--diff", "Print a unified diff.")] = False
    check: Annotated[
        bool, flag("--check", "Only list the files that would change or have marks of --todo; exit 1 if any.")
    ] = False
    output: Annotated[str | None, option("--output", "PATH", "Write the results to PATH.")] = None
    prefer: Annotated[
        str,
        option(
            "--prefer",
            "[auto|documented|faithful]",
            "The class to choose: the documented counterpart, one with the same arithmetic, or (auto) the documented one unless "
            "training would differ visibly.",
        ),
    ] = ""
    faithful: Annotated[bool, flag("--faithful", "The same as --prefer faithful.")] = False
    params: Annotated[str | None, option("--params", "EXPR", "The parameters, for calls that are given none.")] = None
    rewrite_step: Annotated[
        bool,
        flag("--rewrite-step", "Rewrite plain training steps as well; for MindSpore also their models and losses."),
    ] = False
    todo: Annotated[
        bool,
        flag(
            "--todo",
            "Write what is left to do into the result, as comments; a call that wants for one fact gets `...`.",
        ),
    ] = False
    set: Annotated[
        list[str],
        option(
            "--set",
            "NAME=N",
            "For learning-rate schedules: steps_per_epoch=N or total_steps=N.",
            ("steps_per_epoch=", "total_steps="),
        ),
    ] = []
    strict: Annotated[bool, flag("--strict", "Exit 1 on warnings as well.")] = False
    select: Annotated[
        list[str], option("--select", "CODES", "Report only these codes: OM203, OM4, unpacked-arguments.")
    ] = []
    ignore: Annotated[list[str], option("--ignore", "CODES", "Do not report these codes.")] = []
    exclude: Annotated[
        list[str], option("--exclude", "PATTERN", "Leave files out, by a pattern as in .gitignore.")
    ] = []
    verbose: Annotated[
        bool, flag("--verbose", "Report notes, reasons in full, and the tables' lines as well.", short="-v")
    ] = False
    quiet: Annotated[bool, flag("--quiet", "Report only errors.", short="-q")] = False
    statistics: Annotated[bool, flag("--statistics", "Count the reported codes.")] = False
    format: Annotated[str, option("--format", "[text|json|sarif|github]", "The form of the report.")] = "text"
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=0, help="Processes; 0: one per core.")] = 1
    mappings: Mappings = []
    baseline: Baseline = None
    write_baseline: WriteBaseline = False

    @property
    def modes(self) -> tuple[str, ...]:
        """The options given that say what becomes of the results."""
        given = {"--write": self.write, "--diff": self.diff, "--check": self.check, "--output": self.output is not None}
        return tuple(name for name, on in given.items() if on)
