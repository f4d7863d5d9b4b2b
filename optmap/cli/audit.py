"""The options of `optmap audit`."""

from typing import Annotated, NamedTuple

from optmap.cli.options import NAMES, Mappings, option


class Request(NamedTuple):
    """Compare the tables with the signatures of the installed frameworks.

    Exit codes: 0 all equal; 1 tables and reality differ; 2 wrong usage, no framework is installed, or a named one is not.
    """

    frameworks: Annotated[
        list[str], option("--framework", f"[{NAMES}]", "Only this framework, which must be installed; may be repeated.")
    ] = []
    python: Annotated[
        list[str], option("--python", "ENGINE=INTERPRETER", "Audit a framework of another Python interpreter.")
    ] = []
    format: Annotated[str, option("--format", "[text|json|github]", "The form of the report.")] = "text"
    mappings: Mappings = []
