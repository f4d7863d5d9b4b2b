"""Optimizers in configuration files that are named on the command line: said where they stand, never rewritten."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from optmap.diagnostics import BROKEN_CONFIGURATION, CONFIGURED_OPTIMIZER, CONFIGURED_UNKNOWN, Code, Diagnostic
from optmap.mapping.model import MappingSet
from optmap.translate.configs.entries import ConfigEntry, Identified, find_entries, identify
from optmap.translate.configs.nodes import Broken, ConfigNode, read_json, read_toml, read_yaml
from optmap.translate.constructors.as_text import constructor
from optmap.translate.findings import ignored_in
from optmap.translate.options import Options

_READERS: Final = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".toml": read_toml}


def config_diagnostics(
    data: bytes, path: Path, tables: MappingSet, options: Options
) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """Return what is wrong with the file, if anything is, and a diagnostic for each optimizer in it, in order."""
    try:
        text = _decode(data)
        documents = _READERS[path.suffix.lower()](text)
    except Broken as error:
        return error.message, (Diagnostic(BROKEN_CONFIGURATION, error.message, error.line, error.column),)
    ignored = ignored_in(text) if path.suffix.lower() != ".json" else {}
    found = [_diagnostic(entry, tables, options) for entry in find_entries(documents, tables)]
    wanted = [
        item
        for item in found
        if item.line not in ignored or (ignored[item.line] and item.code.id not in ignored[item.line])
    ]
    return None, tuple(sorted(wanted, key=lambda item: (item.line, item.column)))


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise Broken(f"not UTF-8: found byte 0x{data[error.start]:02x}", line, column) from None


def _diagnostic(entry: ConfigEntry, tables: MappingSet, options: Options) -> Diagnostic:
    found = identify(entry, tables, options.sources)
    if not isinstance(found, Identified):
        return _say(CONFIGURED_UNKNOWN, f"{entry.key}: {found}", entry.at)
    made = constructor(
        tables, found.api, found.arguments, options.target, "model", options.prefer, parameters=options.params
    )
    stands = f"{entry.key}: {entry.name} is {found.api.name}"
    beside = f"; {', '.join(found.beside)} beside it {'are' if len(found.beside) > 1 else 'is'} not part of this"
    tail = beside if found.beside else ""
    if made.text is None:
        message = f"{stands} and cannot be translated: {made.reasons[0]}{tail}"
        return _say(CONFIGURED_UNKNOWN, message, entry.at, str(found.api.at))
    differs = f"; {made.warning}" if made.warning else ""
    message = f"{stands}; write it in {options.target.facts.title}{tail}{differs}"
    return _say(CONFIGURED_OPTIMIZER, message, entry.at, str(found.api.at), made.text)


def _say(
    code: Code, message: str, at: ConfigNode, table: str | None = None, replacement: str | None = None
) -> Diagnostic:
    return Diagnostic(code, message, at.line, at.column, table, None, replacement)
