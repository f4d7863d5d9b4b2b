"""The tables of what stands around an optimizer (mappings/around/*.yaml): what is recognized, and what replaces it.

They are facts about the frameworks, as the optimizers' tables are, and are read only for files that need them: from a
compiled JSON file while that is fresh, for a YAML parser takes longer to import than most files take to translate.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from optmap.mapping.compiled import digest
from optmap.mapping.load import MappingError, default_directory
from optmap.mapping.model import Framework, Literal, Position

NAME: Final = "compiled.json"
WORDS: Final = "words.json"
OPTIMIZER: Final = "optimizer"
"""What `of` says of the members of a translated optimizer; any other word is the name of a pattern with `paths`."""
HOLDS: Final = ("gradient", "optimizer", "rate")
"""What `given` may ask of a parameter: gradients, a translated optimizer, or the learning rate of one."""
ANY: Final = "any"
"""In `given`, whichever parameter."""
USES: Final = ("any", "call", "read", "write", "item")


class Template(NamedTuple):
    """What to write in the target for one pattern: a sentence, and code where code is what helps.

    Both may name parameters of the pattern in braces. `when` holds the values of parameters for which it is meant;
    `current` is how the target reads what the pattern writes.
    """

    when: dict[str, Literal]
    say: str
    code: str | None
    current: str | None


class Pattern(NamedTuple):
    """Something of one framework that must change with the optimizer.

    Either `paths`, import paths of functions and classes, or `of` and `members`, attributes of an object (dots lead
    deeper), used as `use` says; `keys` are those of the dictionaries inside. `takes` is the signature of a call:
    (name, default as text or None). `given` says what a parameter must hold for the pattern to count (HOLDS).
    """

    name: str
    framework: Framework
    diagnostic: str
    paths: tuple[str, ...]
    of: tuple[str, ...]
    members: tuple[str, ...]
    use: str
    keys: tuple[str, ...]
    takes: tuple[tuple[str, str | None], ...]
    given: dict[str, str]
    about: str
    to: dict[str, tuple[Template, ...]]
    at: Position


class Factory(NamedTuple):
    """A function of a library that constructs an optimizer by a short name.

    `takes` is its signature, `name` and `model` the parameters for the short name and the model; `gives` maps a short
    name to a class and the arguments that the library sets, as text; `passes` maps the function's parameters to the
    class's.
    """

    path: str
    framework: Framework
    takes: tuple[tuple[str, str | None], ...]
    name: str
    model: str
    passes: dict[str, str]
    gives: dict[str, tuple[str, dict[str, str]]]
    note: str
    at: Position


class Around(NamedTuple):
    """All of these tables."""

    patterns: tuple[Pattern, ...]
    factories: tuple[Factory, ...]

    def of(self, frameworks: frozenset[Framework]) -> list[Pattern]:
        return [pattern for pattern in self.patterns if pattern.framework in frameworks]


def directory() -> Path:
    """Return the directory of these tables."""
    return default_directory() / "around"


def own_files() -> list[tuple[str, bytes]]:
    """Read the tables as (name, content), in order."""
    return [(f"mappings/around/{path.name}", path.read_bytes()) for path in sorted(directory().glob("*.yaml"))]


@lru_cache(maxsize=1)
def load_around() -> Around:
    """Load the tables. Raises MappingError."""
    contents = own_files()
    try:
        found = read_compiled(directory().joinpath(NAME).read_bytes(), digest(contents))
    except OSError:
        found = None
    return found if found is not None else build(contents)


def build(contents: Sequence[tuple[str, bytes]]) -> Around:
    """Build the tables from YAML files given as (name, content). Raises MappingError with every error."""
    from optmap.mapping.around_shape import FILE
    from optmap.mapping.yamlnodes import Problems, parse

    problems = Problems()
    patterns: list[Pattern] = []
    factories: list[Factory] = []
    for name, data in contents:
        parsed = parse(data, name, FILE, problems)
        if parsed is None or parsed.broken:
            continue
        framework = Framework(parsed.get("framework"))
        for key, item in parsed.value["patterns"].items() if "patterns" in parsed.value else ():
            try:
                patterns.append(_pattern(key, framework, item))
            except ValueError as error:
                problems.add(item.at, str(error))
        for key, item in parsed.value["factories"].items() if "factories" in parsed.value else ():
            factories.append(_factory(key, framework, item))
    if problems.found:
        raise MappingError(problems.lines())
    return Around(tuple(patterns), tuple(factories))


def _pattern(name: str, framework: Framework, item: Any) -> Pattern:
    if ("paths" in item.value) == ("of" in item.value):
        raise ValueError(f"pattern {name!r}: expected either `paths` or `of`")
    to = {
        key: tuple(
            Template(each.get("when", {}), each.get("say"), each.get("code"), each.get("current"))
            for each in templates.value
        )
        for key, templates in item.value["to"].items()
    }
    return Pattern(
        name, framework, item.get("diagnostic"), item.get("paths", ()), item.get("of", ()), item.get("members", ()),
        item.get("use", "any"), item.get("keys", ()), _signature(item.get("takes", "")), item.get("given", {}),
        item.get("about"), to, item.at,
    )  # fmt: skip


def _factory(path: str, framework: Framework, item: Any) -> Factory:
    gives = {key: (each.get("class"), each.get("sets", {})) for key, each in item.value["gives"].items()}
    return Factory(
        path, framework, _signature(item.get("takes")), item.get("name"), item.get("model"), item.get("passes", {}),
        gives, item.get("note"), item.at,
    )  # fmt: skip


def _signature(text: str) -> tuple[tuple[str, str | None], ...]:
    """Read `a, b=1` as (name, text of the default or None). Raises ValueError."""
    try:
        function = ast.parse(f"def f({text}): pass").body[0]
    except SyntaxError:
        raise ValueError(f"takes: found {text!r}, expected a signature such as 'a, b=1'") from None
    assert isinstance(function, ast.FunctionDef)
    names = [argument.arg for argument in function.args.args]
    defaults = [ast.unparse(default) for default in function.args.defaults]
    return tuple(zip(names, [*[None] * (len(names) - len(defaults)), *defaults], strict=True))


def dump(tables: Around, source: str) -> str:
    """Write the tables as JSON text; `source` is the digest of the files that they were built from."""
    return json.dumps({"digest": source, "patterns": tables.patterns, "factories": tables.factories}, indent=0) + "\n"


def words(tables: Around) -> str:
    """Write as JSON, for each framework, the words of which a file must hold one for any pattern to count in it.

    An object's members need none of their own: the object's class is one.
    """
    found: dict[str, set[str]] = {}
    for pattern in tables.patterns:
        own = {path.rpartition(".")[2] for path in pattern.paths}
        if OPTIMIZER in pattern.of:
            own = {f".{member.partition('.')[0]}" for member in pattern.members}
        found.setdefault(pattern.framework, set()).update(own)
    return json.dumps({name: sorted(each) for name, each in found.items()}, indent=0) + "\n"


def read_compiled(text: bytes, source: str) -> Around | None:
    """Read the tables back; None where they were made from other files."""
    document = json.loads(text)
    if document.get("digest") != source:
        return None
    return Around(
        tuple(_stored_pattern(*item) for item in document["patterns"]),
        tuple(_stored_factory(*item) for item in document["factories"]),
    )


def _stored_pattern(
    name: str, framework: str, diagnostic: str, paths: Any, of: Any, members: Any, use: str, keys: Any,
    takes: Any, given: dict[str, str], about: str, to: dict[str, Any], at: Any,
) -> Pattern:  # fmt: skip
    templates = {key: tuple(Template(*item) for item in items) for key, items in to.items()}
    return Pattern(
        name, Framework(framework), diagnostic, tuple(paths), tuple(of), tuple(members), use, tuple(keys),
        tuple((item[0], item[1]) for item in takes), given, about, templates, Position(*at),
    )  # fmt: skip


def _stored_factory(
    path: str, framework: str, takes: Any, name: str, model: str, passes: dict[str, str], gives: dict[str, Any],
    note: str, at: Any,
) -> Factory:  # fmt: skip
    signature = tuple((item[0], item[1]) for item in takes)
    classes = {key: (item[0], item[1]) for key, item in gives.items()}
    return Factory(path, Framework(framework), signature, name, model, passes, classes, note, Position(*at))
