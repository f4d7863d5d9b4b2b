"""`optmap docs`: writes a page for each pair of classes."""

from __future__ import annotations

import sys

from optmap.cli.docs import Request
from optmap.commands.common import UsageError, reports_usage_errors, tables
from optmap.commands.explain import find_apis
from optmap.translate.write import WriteError, write_new


@reports_usage_errors
def run(request: Request) -> int:
    """Write the pages of the named classes, or of all, below a directory. Returns the exit code."""
    from optmap.pages.site import write

    loaded, output = tables(request.mappings), request.output
    chosen = [api.name for name in request.names for api in find_apis(loaded, name)]
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
