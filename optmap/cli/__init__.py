"""The command line: which commands there are, and how a run ends.

`optmap.cli.NAME` declares the options of a command as a record, its `Request`; `optmap.commands.NAME` carries a request out, and
is imported when the command runs: start-up stays short. No `from __future__ import annotations` in these modules: Typer would
compile the text of each annotation twice.
"""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from typing import Annotated, Any, Final

import typer

MODULES: Final = {
    "translate": "translate", "check": "check", "explain": "explain", "list": "matrix", "audit": "audit",
    "convert-state": "convert_state", "rules": "rules", "docs": "docs",
}  # fmt: skip
"""The module of each command that takes a request."""


def _app(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the command that is named, else with all: to build them takes longer than to run one."""
    app = typer.Typer(
        name="optmap",
        help="Move optimizers between PyTorch, TensorFlow/Keras and MindSpore, and prove that they do the same arithmetic.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    servers = {"lsp": lsp, "mcp": mcp}
    every = (*MODULES, *servers)
    named = [name for name in every if arguments[:1] == [name]]
    for name in named or (() if arguments[:1] == ["--version"] else every):
        app.command(name)(servers.get(name) or _command(MODULES[name]))
    return app


def _command(module: str) -> Callable[..., None]:
    """The function that Typer wants of a command: its parameters are the fields of the request."""
    request = import_module(f"optmap.cli.{module}").Request

    def carry_out(**given: Any) -> None:
        raise typer.Exit(import_module(f"optmap.commands.{module}").run(request(**given)))

    carry_out.__signature__ = signature(request)  # type: ignore[attr-defined]
    carry_out.__doc__ = request.__doc__
    return carry_out


def _version(value: bool) -> None:
    if value:
        from optmap.commands.version import lines

        print(*lines(), sep="\n")
        raise typer.Exit


def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions of optmap, its tables, and frameworks.",
        ),
    ] = False,
) -> None:
    pass


def lsp() -> None:
    """Serve an editor over the Language Server Protocol, on standard input and output; needs the extra `lsp`."""
    raise typer.Exit(_serve("editor", "lsp"))


def mcp() -> None:
    """Serve an assistant over the Model Context Protocol, on standard input and output; needs the extra `mcp`."""
    raise typer.Exit(_serve("assistant", "mcp"))


def _serve(server: str, extra: str) -> int:
    """Run a server; where its packages are missing, say which extra brings them."""
    try:
        return int(import_module(f"optmap.servers.{server}").run())
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "optmap":
            raise
        sys.stderr.write(f"optmap: error: this command needs {error.name}; install optmap's extra `{extra}`\n")
        return 2


def process() -> None:
    """Run the command line, and end the process at once: Python takes longer to put itself away than to translate a file."""
    from contextlib import suppress

    try:
        main()
    except SystemExit as end:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def main() -> None:
    """Run the command line. Users see no traceback: an unexpected error is reported in two lines, with exit code 3."""
    gc.disable()  # imports and syntax trees leave few cycles, and collecting them takes a third of the time
    _open_streams()
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("optmap: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        _close_quietly()
        sys.exit(141)
    except OSError as error:
        sys.stderr.write(f"optmap: error: {error.strerror or error}\n")
        _close_quietly()
        sys.exit(2)
    except Exception as error:
        if os.environ.get("OPTMAP_DEBUG"):
            raise
        from optmap.shown import shown

        sys.stderr.write(
            f"optmap: internal error: {type(error).__name__}: {shown(error)}\n"
            "This is a bug in optmap. Set OPTMAP_DEBUG=1 to see the traceback, and please report it.\n"
        )
        sys.exit(3)


def _run() -> None:
    """Run the command and flush its output here, where main() handles a full disk or a closed pipe."""
    try:
        _app(sys.argv[1:])()
    except SystemExit:
        sys.stdout.flush()
        raise


def _open_streams() -> None:
    """Escape characters that the terminal's encoding lacks; replace a stream that the caller closed by the null device."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open as long as the process)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _close_quietly() -> None:
    """Keep Python from reporting the closed pipe again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
