"""The options of `optmap list`."""

from typing import Annotated, NamedTuple

from optmap.cli.options import NAMES, Mappings, flag, option


class Request(NamedTuple):
    """Print the support matrix: every class and its counterparts.

    \b
    Examples:
      optmap list --from torch --to mindspore
      optmap list --from torch==1.13 --format json
    """

    source: Annotated[str, option("--from", f"[{NAMES}]", "Only this framework's classes.")] = ""
    to: Annotated[str, option("--to", f"[{NAMES}]", "Only counterparts in this framework.")] = ""
    verbose: Annotated[bool, flag("--verbose", "Say what differs as well.", short="-v")] = False
    format: Annotated[str, option("--format", "[text|json]", "The form of the report.")] = "text"
    mappings: Mappings = []
