"""How the time and memory of `optmap translate` grow with files, calls, lines and tables; each should be a straight line.

Usage: python -m benchmarks.growth [--plot FILE.svg] [--scale N]

Each series doubles one size and keeps the rest. Printed are CPU seconds with the start-up left out, the peak memory, and the
exponent of growth between the first and the last point: 1 is linear, 2 quadratic. Exits 1 where one is above 1.2.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.make_tree import PLAIN, make_tree
from benchmarks.peers import Cost, cost

OPTMAP: Final = (sys.executable, "-m", "optmap")
LIMIT: Final = 1.2
SIDE: Final = 200
"""Width and height of one plot in pixels."""


class Series(NamedTuple):
    """One size that grows: its name, the sizes, and what writes the input and gives the command's arguments."""

    name: str
    sizes: Sequence[int]
    prepare: Callable[[Path, int], Sequence[str]]


class Point(NamedTuple):
    """What a size cost above the start-up."""

    size: int
    cpu: float
    memory: float


def files(place: Path, size: int) -> Sequence[str]:
    """A tree of `size` files."""
    make_tree(place / "tree", size)
    return [str(place / "tree")]


def calls(place: Path, size: int) -> Sequence[str]:
    """A file with `size` constructor calls."""
    lines = [f"optimizer{number} = torch.optim.Adam(model{number}.parameters(), lr=1e-3)" for number in range(size)]
    return [_file(place, "import torch\n\n" + "\n".join(lines) + "\n")]


def lines(place: Path, size: int) -> Sequence[str]:
    """A file with one call among about `size` lines."""
    text = PLAIN.replace("{{", "{").replace("}}", "}")
    plain = "".join(text.replace("{number}", str(number)) for number in range(size // text.count("\n") + 1))
    return [_file(place, f"import torch\n{plain}optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n")]


def terms(place: Path, size: int) -> Sequence[str]:
    """A call whose parameters are a sum of `size` terms."""
    names = " + ".join(f"list(model{number}.parameters())" for number in range(size))
    return [_file(place, f"import torch\n\noptimizer = torch.optim.SGD({names}, lr=0.1)\n")]


def tables(place: Path, size: int) -> Sequence[str]:
    """A file with a call, and `size` tables beside optmap's own."""
    directory = place / "tables"
    directory.mkdir()
    own = """algorithm: made_{0}
apis:
  torch.optim.Made{0}:
    verified: "2.13.0"
    parameters:
      - {{name: params, is: parameters}}
      - {{name: lr, is: learning_rate, default: 0.1}}
"""
    for number in range(size):
        (directory / f"made_{number}.yaml").write_text(own.format(number), encoding="utf-8")
    text = "import torch\n\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
    return [_file(place, text), "--mappings", str(directory)]


def _file(place: Path, text: str) -> str:
    path = place / "train.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def measured(series: Series, start: Cost) -> list[Point]:
    """The cost of each size, the least of three runs."""
    points = []
    for size in series.sizes:
        with tempfile.TemporaryDirectory() as directory:
            command = [*OPTMAP, "translate", "--from", "torch", "--check", *series.prepare(Path(directory), size)]
            runs = [cost(command) for _ in range(3)]
            assert runs[0].code == 1, f"{command} should have found something to translate"
        points.append(Point(size, max(min(run.cpu for run in runs) - start.cpu, 1e-3), runs[0].memory))
    return points


def exponent(points: Sequence[Point]) -> float:
    """The power of the size with which the time grows."""
    first, last = points[0], points[-1]
    return math.log(last.cpu / first.cpu) / math.log(last.size / first.size)


def plot(found: Sequence[tuple[Series, list[Point]]]) -> str:
    """All series side by side as SVG: CPU time over size, both axes from 0."""
    parts = []
    for number, (series, points) in enumerate(found):
        left = 20 + number * (SIDE + 40)
        most = max(point.cpu for point in points)
        where = [(left + SIDE * p.size / points[-1].size, 20 + SIDE - SIDE * p.cpu / most) for p in points]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in [(left, 20 + SIDE), *where])
        parts.append(f'<polyline points="{path}" fill="none" stroke="#06c" stroke-width="2"/>')
        parts.append(f'<path d="M{left},20V{20 + SIDE}H{left + SIDE}" fill="none" stroke="#888"/>')
        label = f"{series.name} up to {points[-1].size}: {points[-1].cpu:.2f} s"
        parts.append(f'<text x="{left}" y="{SIDE + 40}" font-size="12">{label}</text>')
    width = len(found) * (SIDE + 40) + 20
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIDE + 50}">{"".join(parts)}</svg>\n'


def main(scale: int, target: Path | None) -> int:
    """Measure, print, and return the exit code."""
    start = min((cost([*OPTMAP, "--version"]) for _ in range(5)), key=lambda run: run.cpu)
    all_series = [
        Series("files", [1000 * scale, 2000 * scale, 4000 * scale], files),
        Series("calls in a file", [500 * scale, 1000 * scale, 2000 * scale, 4000 * scale], calls),
        Series("lines in a file", [25000 * scale, 50000 * scale, 100000 * scale], lines),
        Series("terms in an argument", [80, 160, 320], terms),
        Series("tables", [50 * scale, 100 * scale, 200 * scale], tables),
    ]
    found = [(series, measured(series, start)) for series in all_series]
    for series, points in found:
        figures = ", ".join(f"{p.size}: {p.cpu:.2f} s {p.memory:.0f} MB" for p in points)
        print(f"{series.name:<22} exponent {exponent(points):.2f}  {figures}")
    if target is not None:
        target.write_text(plot(found), encoding="utf-8")
    return int(any(exponent(points) > LIMIT for _, points in found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How the time of optmap translate grows.")
    parser.add_argument("--scale", type=int, default=1, help="multiplies the sizes")
    parser.add_argument("--plot", type=Path, help="an SVG file to write")
    arguments = parser.parse_args()
    sys.exit(main(arguments.scale, arguments.plot))
