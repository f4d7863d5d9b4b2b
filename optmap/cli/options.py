"""What several commands' options have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from typer.models import OptionInfo

NAMES: Final = "torch|tensorflow|mindspore"


def option(name: str, metavar: str, help: str, words: Sequence[str] = ()) -> "OptionInfo":
    """An option with a value; a shell completes it to the words of its metavar, `[one|other]`, or to those given."""
    words = words or ([word.partition("==")[0] for word in metavar.strip("[]").split("|")] if "|" in metavar else [])
    complete = (lambda: list(words)) if words else None
    found: OptionInfo = typer.Option(name, metavar=metavar, help=help, autocompletion=complete)
    return found


def flag(name: str, help: str, short: str | None = None) -> "OptionInfo":
    """An option that is there or not."""
    found: OptionInfo = typer.Option(name, *([short] if short else []), help=help)
    return found


Mappings = Annotated[list[Path], option("--mappings", "DIR", "A directory with further tables.")]
Baseline = Annotated[str | None, option("--baseline", "FILE", "Fail only on what is worse than in this file.")]
WriteBaseline = Annotated[
    bool, flag("--write-baseline", "Write what is found to the baseline, optmap-baseline.json by default.")
]
