"""The options of `optmap docs`."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from optmap.cli.options import Mappings, option


class Request(NamedTuple):
    """Write a Markdown page for each pair of classes, with code that was run and the measured divergence."""

    output: Annotated[Path, option("--output", "DIR", "The directory to write the pages to.")]
    names: Annotated[
        list[str], typer.Argument(metavar="[API...]", help="Classes, such as torch.optim.Adam; all by default.")
    ] = []
    mappings: Mappings = []
