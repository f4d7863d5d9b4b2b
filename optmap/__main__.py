"""Entry point of `python -m optmap` and of the script `optmap`."""

from __future__ import annotations

import sys

from optmap import interruption


def main() -> None:
    """Run the command line, with Ctrl-C taken care of before anything else is imported."""
    interruption.ends_the_process()
    from optmap import cli

    cli.process()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current directory, which may be anybody's
    main()
