"""The shape of the tables in mappings/around/."""

from __future__ import annotations

from typing import Final

from optmap.mapping.around import HOLDS, USES
from optmap.mapping.model import Framework
from optmap.mapping.yamlnodes import Any_, Field, ListOf, MapOf, Record, Text

TEMPLATE: Final = Record(
    "replacement",
    {
        "when": Field(MapOf(Any_()), "the values of parameters for which it is meant; without, for all others"),
        "say": Field(Text(), "what to do, as a clause; parameters in braces", required=True),
        "code": Field(Text(), "the code to write, runnable; parameters in braces"),
        "current": Field(Text(), "how the target reads what the pattern writes"),
    },
)
PATTERN: Final = Record(
    "pattern",
    {
        "diagnostic": Field(Text(), "the name of the diagnostic", required=True),
        "paths": Field(ListOf(Text()), "import paths of the function or class"),
        "of": Field(
            ListOf(Text(), or_one=True), "whose attribute it is: optimizer, or the names of patterns with paths"
        ),
        "members": Field(ListOf(Text()), "the attributes; dots lead deeper"),
        "use": Field(Text(USES), "how the attribute is used"),
        "keys": Field(ListOf(Text()), "the keys that are written in the dictionaries inside"),
        "takes": Field(Text(), "the signature of the call"),
        "given": Field(MapOf(Text(HOLDS)), "parameter, or any -> what it must hold"),
        "about": Field(Text(), "what the framework does here, as a clause", required=True),
        "to": Field(
            MapOf(ListOf(TEMPLATE, or_one=True)), "framework, or module of it -> what replaces it", required=True
        ),
    },
)
GIVEN: Final = Record(
    "class of a short name",
    {
        "class": Field(Text(), "the class that it constructs", required=True),
        "sets": Field(MapOf(Text()), "arguments that the library sets -> their text"),
    },
)
FACTORY: Final = Record(
    "factory",
    {
        "takes": Field(Text(), "the signature of the function", required=True),
        "name": Field(Text(), "the parameter that holds the short name", required=True),
        "model": Field(Text(), "the parameter that holds the model", required=True),
        "passes": Field(MapOf(Text()), "parameter of the function -> parameter of the class"),
        "gives": Field(MapOf(GIVEN), "short name -> class", required=True),
        "note": Field(Text(), "what a user should know", required=True),
    },
)
FILE: Final = Record(
    "table",
    {
        "framework": Field(Text(tuple(Framework)), "the framework that the patterns belong to", required=True),
        "patterns": Field(MapOf(PATTERN), "name -> pattern"),
        "factories": Field(MapOf(FACTORY), "import path -> function that constructs by a short name"),
    },
)
