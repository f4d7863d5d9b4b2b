"""The options of `optmap convert-state`."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from optmap.cli.options import Mappings, flag, option


class Request(NamedTuple):
    """Convert an optimizer's saved state, so that training goes on in another framework; no code in the file is run.

    Exit codes: 0 written; 1 it cannot be converted, and nothing was written; 2 wrong usage, such as a file that is not there.
    """

    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A saved state: .pt, .keras, .h5, .npz or .ckpt.")]
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The file to write: .pt, .npz or .ckpt.")]
    optimizer: Annotated[
        str,
        option("--from", "CALL", "The class that saved it, with the arguments that the file lacks: Adam(beta_1=0.5)."),
    ]
    to: Annotated[str, typer.Option("--to", help="mindspore (the default), torch, tensorflow, or a class.")] = ""
    map: Annotated[
        Path | None, option("--map", "FILE.yaml", "The parameters, in the order of the target's optimizer.")
    ] = None
    parameters: Annotated[
        list[str], option("--parameter", "FROM=TO[:transpose]", "One parameter in place of a map; in their order.")
    ] = []
    in_order: Annotated[bool, flag("--in-order", "The target has the same parameters in that order.")] = False
    steps: Annotated[
        int | None, option("--steps", "N", "The steps made so far, where the source does not count them.")
    ] = None
    entry: Annotated[str, option("--entry", "KEY", "Where the state stands in the file.")] = ""
    python: Annotated[
        list[str], option("--python", "FRAMEWORK=INTERPRETER", "The Python interpreter that has a framework.")
    ] = []
    mappings: Mappings = []
