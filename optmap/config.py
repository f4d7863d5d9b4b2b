"""Reads `[tool.optmap]` of the nearest pyproject.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from optmap.files import is_pattern
from optmap.mapping.framework import Framework, check_version, frameworks
from optmap.mapping.plan import Prefer
from optmap.nearest import nearest
from optmap.reading import TEXT_BYTES, parse_toml, read_regular
from optmap.selection import Selection, parse_codes
from optmap.translate.options import check_quantities
from optmap.values import NamedTuple


class ConfigError(Exception):
    """The settings are invalid; the message gives the file, the key, what was found and what was expected."""


class Settings(NamedTuple):
    """Defaults for the command line. `mappings` is resolved against the directory of the pyproject.toml.

    `line_length` is that of the formatter whose settings stand beside ours.
    """

    source: str | None = None
    to: Framework | None = None
    prefer: Prefer = Prefer.AUTO
    strict: bool = False
    params: str | None = None
    exclude: tuple[str, ...] = ()
    mappings: tuple[Path, ...] = ()
    versions: Mapping[str, str] = {}
    selection: Selection = Selection()
    set: Mapping[str, int] = {}
    rewrite_step: bool = False
    todo: bool = False
    verbose: bool = False
    quiet: bool = False
    statistics: bool = False
    line_length: int = 0


KEYS: Final[dict[str, type[Any]]] = {
    "from": str, "to": str, "prefer": str, "faithful": bool, "strict": bool, "params": str, "exclude": list, "mappings": list,
    "versions": dict, "select": list, "ignore": list, "per-file-ignores": dict, "set": dict, "rewrite-step": bool, "todo": bool,
    "verbose": bool, "quiet": bool, "statistics": bool,
}  # fmt: skip
_AS_WRITTEN: Final = ("strict", "params", "rewrite-step", "todo", "verbose", "quiet", "statistics")
"""The keys whose values need no more than their type."""
_WIDEST: Final = 320
"""The longest line that ruff takes for a limit."""
_EXPECTED: Final = {
    str: "a string",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table",
}


def find_settings(start: Path) -> Settings:
    """Read the nearest pyproject.toml at or above a directory; without the file or its section, return the defaults.

    Raises ConfigError.
    """
    directory = start.resolve()
    for candidate in (directory, *directory.parents):
        path = candidate / "pyproject.toml"
        if path.exists():
            return read_settings(path)
    return Settings()


def read_settings(path: Path) -> Settings:
    """Read the settings of one pyproject.toml. Raises ConfigError."""
    tool = _tools(path)
    section: Any = tool.get("optmap", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: [tool.optmap]: found {section!r}, expected a table")
    line_length = _line_length(tool)
    if not section:
        return Settings(line_length=line_length)
    for key, value in section.items():
        _check(path, key, value)
    for pattern in section.get("exclude", ()):
        if not is_pattern(pattern):
            raise ConfigError(f"{path}: [tool.optmap] exclude: found {pattern!r}, expected a pattern as in .gitignore")
    mappings = tuple(path.parent / name for name in section.get("mappings", ()))
    known = frameworks(mappings)
    source = section.get("from")
    if source != "auto":
        _framework(path, source, known)
    _check_versions(path, section.get("versions", {}), known)
    return Settings(
        source=source,
        to=_framework(path, section.get("to"), known),
        prefer=_prefer(path, section),
        exclude=tuple(section.get("exclude", ())),
        mappings=mappings,
        versions=dict(section.get("versions", {})),
        selection=_selection(path, section),
        set=_quantities(path, section.get("set", {})),
        line_length=line_length,
        **{key.replace("-", "_"): section[key] for key in _AS_WRITTEN if key in section},
    )


def _tools(path: Path) -> dict[str, Any]:
    """What a file says of tools; it is not parsed where that is nothing of optmap, and nothing of the length of lines."""
    try:
        text = read_regular(path, TEXT_BYTES).decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    ours = "optmap" in text or "\\" in text  # a key may be written with escapes
    if not ours and "line-length" not in text:
        return {}
    try:
        tool = parse_toml(text).get("tool", {})
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        if not ours:
            return {}
        raise ConfigError(f"{path}: {why}") from None
    return tool if isinstance(tool, dict) else {}


def _line_length(tool: Mapping[str, Any]) -> int:
    """The length of lines that a formatter keeps; 0 where none says so."""
    tables = (tool.get(name) for name in ("ruff", "black"))
    lengths = (table.get("line-length") for table in tables if isinstance(table, dict))
    return next((number for number in lengths if type(number) is int and 0 < number <= _WIDEST), 0)


def _check(path: Path, key: str, value: Any) -> None:
    if key not in KEYS:
        raise ConfigError(f"{path}: [tool.optmap]: unknown key {key!r}{nearest(key, KEYS)}")
    kind = KEYS[key]
    if not isinstance(value, kind) or (kind is list and not all(isinstance(item, str) for item in value)):
        raise ConfigError(f"{path}: [tool.optmap] {key}: found {value!r}, expected {_EXPECTED[kind]}")


def _check_versions(path: Path, chosen: dict[str, Any], known: Mapping[str, Framework]) -> None:
    for package, version in chosen.items():
        where = f"{path}: [tool.optmap.versions]"
        if not isinstance(version, str):
            raise ConfigError(f'{where} {package}: found {version!r}, expected a string such as "1.13"')
        try:
            check_version(package, version, known)
        except ValueError as error:
            raise ConfigError(f"{where} {package}: {error}") from None


def _selection(path: Path, section: dict[str, Any]) -> Selection:
    """The codes to report and not to."""
    lists: dict[str, Any] = {key: section[key] for key in ("select", "ignore") if key in section}
    lists |= {f"per-file-ignores {pattern!r}": codes for pattern, codes in section.get("per-file-ignores", {}).items()}
    found = {}
    for key, codes in lists.items():
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise ConfigError(f"{path}: [tool.optmap] {key}: found {codes!r}, expected a list of codes")
        try:
            found[key] = parse_codes(codes)
        except ValueError as error:
            raise ConfigError(f"{path}: [tool.optmap] {key}: {error}") from None
    files = {pattern: found[f"per-file-ignores {pattern!r}"] for pattern in section.get("per-file-ignores", {})}
    return Selection(found.get("select"), found.get("ignore", frozenset()), files, path.parent if files else Path())


def _quantities(path: Path, given: dict[str, Any]) -> dict[str, int]:
    try:
        return dict(check_quantities(given))
    except ValueError as error:
        raise ConfigError(f"{path}: [tool.optmap.set]: {error}") from None


def _prefer(path: Path, section: dict[str, Any]) -> Prefer:
    """The preference; `faithful = true` is a short form of one."""
    given = section.get("prefer", Prefer.FAITHFUL if section.get("faithful") else Prefer.AUTO)
    if given not in tuple(Prefer):
        expected = ", ".join(Prefer)
        raise ConfigError(f"{path}: [tool.optmap] prefer: found {given!r}, expected one of {expected}")
    if section.get("faithful") and given != Prefer.FAITHFUL:
        raise ConfigError(f"{path}: [tool.optmap]: found faithful = true and prefer = {given!r}, expected one of them")
    return Prefer(given)


def _framework(path: Path, value: str | None, known: Mapping[str, Framework]) -> Framework | None:
    if value is not None and value not in known:
        expected = ", ".join(known)
        raise ConfigError(f"{path}: [tool.optmap]: found framework {value!r}, expected one of {expected}")
    return known[value] if value is not None else None
