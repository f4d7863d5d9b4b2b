"""The options of `optmap explain`."""

from typing import Annotated, NamedTuple

import typer

from optmap.cli.options import NAMES, Mappings, flag, option


class Request(NamedTuple):
    """Show a class and its counterparts side by side, with the causes of differences and what to do about them.

    \b
    Examples:
      optmap explain torch.optim.AdamW --to mindspore
      optmap explain Adam --from torch==1.13 --all
    """

    api: Annotated[str, typer.Argument(help="A class, such as torch.optim.Adam or Adam.")]
    source: Annotated[
        str, option("--from", f"[{NAMES}]", "Only this framework's class; a version may follow: torch==1.13.")
    ] = ""
    to: Annotated[str, option("--to", f"[{NAMES}]", "The framework to compare with; all others by default.")] = ""
    everything: Annotated[bool, flag("--all", "Every class of a framework, not only the usual one.")] = False
    format: Annotated[str, option("--format", "[text|json|markdown|html]", "The form of the report.")] = "text"
    mappings: Mappings = []
