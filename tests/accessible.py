"""axe-core on pages in both colour schemes. `python -m tests.accessible FILE.html...` exits with 1 where a violation is serious."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, Final

CHROMIUM: Final = which("chromium")
OPTIONS: Final = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--allow-file-access-from-files",
]  # fmt: skip
SERIOUS: Final = ("serious", "critical")


def missing() -> str:
    """Why there is no audit; empty where there is one."""
    if CHROMIUM is None:
        return "Chromium is not installed"
    absent = [name for name in ("playwright", "axe_playwright_python") if find_spec(name) is None]
    return f"{absent[0]} is not installed" if absent else ""


def serious(browser: Any, paths: Iterable[Path]) -> Iterator[str]:
    """The serious violations of the pages, each with the first element that has it."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        for path in paths:
            context = browser.new_context(color_scheme=scheme)
            page = context.new_page()
            page.goto(path.resolve().as_uri())
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            found = Axe().run(page).response
            assert found["passes"]
            for item in found["violations"]:
                if item["impact"] in SERIOUS:
                    yield f"{path.name}, {scheme}: {item['id']}: {item['nodes'][0]['html'][:200]}"
            context.close()


def main(names: list[str]) -> int:
    """Audit the pages, if there is a browser. Returns the exit code."""
    if why := missing():
        print(f"skipped: {why}")
        return 0
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        found = list(serious(browser, list(map(Path, names))))
        browser.close()
    print(*found, f"{len(names)} pages, {len(found)} serious violations", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
