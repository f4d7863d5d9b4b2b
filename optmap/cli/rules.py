"""The options of `optmap rules`."""

from typing import Annotated, NamedTuple

import typer

from optmap.cli.options import option


class Request(NamedTuple):
    """List the diagnostic codes with their meaning; for one code also an example and the remedy."""

    code: Annotated[str, typer.Argument(help="A code such as OM203, or a name such as unpacked-arguments.")] = ""
    format: Annotated[str, option("--format", "[text|json]", "The form of the report.")] = "text"
