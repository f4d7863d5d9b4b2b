"""`optmap docs`: writes a page for each pair of classes."""

from __future__ import annotations

import sys
from pathlib import Path

from optmap.commands.common import UsageError, reports_usage_errors, tables
from optmap.commands.explain import find_apis
from optmap.translate.write import WriteError, write_new


@reports_usage_errors
def run(names: list[str], output: Path, mappings: tuple[Path, ...]) -> int:
    """Write the pages of the named classes, or of all, below a directory. Returns the exit code."""
    from optmap.pages.site import write

    loaded = tables(mappings)
    chosen = [api.name for name in names for api in find_apis(loaded, name)]
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output: {output} is not a directory")
    count = 0
    for path, text in write(loaded, chosen):
        target = output / path
        try:
            write_new(target, text.encode())
        except WriteError as error:
            raise UsageError(f"--output: {target} cannot be written: {error}") from None
        count += 1
    sys.stderr.write(f"{count} pages written below {output}\n")
    return 0
