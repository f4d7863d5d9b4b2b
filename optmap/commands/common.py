"""Shared by the commands: usage errors, parsing of option values, loading of settings and tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from optmap.config import ConfigError, Settings, find_settings
from optmap.mapping.framework import Framework, frameworks, named
from optmap.mapping.framework import versioned as read_versioned
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.mapping.stored import MappingError
from optmap.nearest import nearest
from optmap.reading import MAXIMUM_BYTES, read_regular
from optmap.shown import count, shown_lines

P = ParamSpec("P")
R = TypeVar("R")

CLOSED_PIPE: Final = 141
"""What shells say of a process that wrote to a pipe which nobody reads."""
_PROBE: Final = "import sys; print('optmap', sys.version_info >= (3, 11), *sys.version_info[:2])"


BASELINE: Final = "optmap-baseline.json"
"""The file that --write-baseline writes where --baseline names none."""


class UsageError(Exception):
    """The command was used wrongly; the message says what was found and what was expected."""


def reports_usage_errors(run: Callable[P, int]) -> Callable[P, int]:
    """Turn usage, settings and table errors into messages on stderr and exit code 2."""

    @wraps(run)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return run(*args, **kwargs)
        except (UsageError, ConfigError) as error:
            sys.stderr.write(shown_lines(f"optmap: error: {error}") + "\n")
        except MappingError as error:
            sys.stderr.write("".join(f"{shown_lines(line)}\n" for line in error.lines))
            sys.stderr.write(f"optmap: error: {count(len(error.lines), 'error')} in the mapping tables\n")
        except BrokenPipeError:  # which Typer would turn into 1
            raise SystemExit(CLOSED_PIPE) from None
        return 2

    return wrapped


def known_frameworks(extra: Sequence[Path], configured: Settings | None = None) -> Mapping[str, Framework]:
    """optmap's frameworks and the user's, by name. Raises MappingError, ConfigError."""
    configured = configured if configured is not None else settings()
    return frameworks((*configured.mappings, *extra))


def framework(text: str, option: str, known: Mapping[str, Framework]) -> Framework:
    """Parse the name of a known framework; its aliases are accepted as well. Raises UsageError."""
    try:
        return named(text, known)
    except ValueError:
        names = [*(["auto"] if option == "--from" else []), *known]
        hint = nearest(text, names).partition("; expected")[0]
        raise UsageError(f"{option}: found {text!r}, expected one of {', '.join(names)}{hint}") from None


def versioned(text: str, option: str, known: Mapping[str, Framework]) -> tuple[Framework, dict[str, str]]:
    """Parse `torch` or `torch==1.13` into the framework and the versions by package. Raises UsageError."""
    framework(text.partition("==")[0].strip(), option, known)
    try:
        return read_versioned(text, known)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None


def direction(
    source: str | None, to: str | None, configured: Settings, known: Mapping[str, Framework], options: tuple[str, str]
) -> tuple[Framework, frozenset[Framework], dict[str, str]]:
    """The target, the sources and the versions that are asked for, else those of the settings; `options` names the askers.

    Raises UsageError.
    """
    target, versions = versioned(to, options[1], known) if to else (configured.to or known[DEFAULT], {})
    given = source or configured.source or "auto"
    if given == "auto":
        return target, frozenset(known.values()) - {target}, {**configured.versions, **versions}
    one, chosen = versioned(given, options[0], known)
    return target, frozenset({one}), {**configured.versions, **versions, **chosen}


def choice(text: str, option: str, known: tuple[str, ...]) -> str:
    """Return an option's value if it is one of a closed set. Raises UsageError."""
    if text not in known:
        raise UsageError(f"{option}: found {text!r}, expected one of {', '.join(known)}")
    return text


def interpreter(text: str) -> tuple[str, str]:
    """Parse `ENGINE=INTERPRETER` and check that the interpreter is Python 3.11 or later. Raises UsageError."""
    import subprocess

    engine, equals, path = text.partition("=")
    if not equals or not engine or not path:
        raise UsageError(f"--python: found {text!r}, expected ENGINE=INTERPRETER")
    try:
        answer = subprocess.run(
            [path, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
        ).stdout.split()
    except OSError as error:
        raise UsageError(f"--python {engine}: {path} cannot be run: {error.strerror}") from None
    except (subprocess.TimeoutExpired, UnicodeDecodeError):
        answer = []
    if answer[:1] != ["optmap"]:
        raise UsageError(f"--python {engine}: found {path}, which is not a Python interpreter")
    if answer[1] != "True":
        raise UsageError(f"--python {engine}: found Python {'.'.join(answer[2:])}, expected 3.11 or later")
    return engine, path


def settings() -> Settings:
    """Settings of the nearest pyproject.toml. Raises ConfigError."""
    return find_settings(Path.cwd())


def tables(extra: Sequence[Path], configured: Settings | None = None) -> MappingSet:
    """Load optmap's tables and the user's, with the signatures of the versions that they were verified with.

    Raises MappingError or ConfigError.
    """
    configured = configured if configured is not None else settings()
    return load((*configured.mappings, *extra))


def named_tables(
    source: str, to: str, mappings: Sequence[Path]
) -> tuple[Framework | None, Framework | None, MappingSet]:
    """What --from and --to name, None for all, and the tables with the signatures of their versions, else of the settings'.

    Raises UsageError, and as tables() does.
    """
    configured = settings()
    known = known_frameworks(mappings, configured)
    own, chosen = versioned(source, "--from", known) if source else (None, {})
    other, more = versioned(to, "--to", known) if to else (None, {})
    return own, other, tables(mappings, configured).at({**configured.versions, **chosen, **more})


def read_baseline(path: Path, read: Callable[[str], R]) -> R:
    """What `read` makes of the text of a baseline. Raises UsageError."""
    from optmap.baselines import BaselineError

    try:
        return read(read_regular(path, MAXIMUM_BYTES).decode())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else "it is no UTF-8"
        raise UsageError(f"--baseline: {path} cannot be read: {reason}") from None
    except BaselineError as error:
        raise UsageError(f"--baseline: {path}: {error}") from None
