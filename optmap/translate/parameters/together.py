"""What comes together in a graph of sums and alternatives: a sum has all of its parts, an alternative has one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Combination:
    """All of `parts`, or `either` of them. A leaf is something that is told from others by `identity` and shown as `text`."""

    __slots__ = ("either", "identity", "parts", "text")

    def __init__(self) -> None:
        self.parts: list[Combination] = []
        self.either = False
        self.identity: object = None
        self.text = ""

    def add(self) -> Combination:
        self.parts.append(Combination())
        return self.parts[-1]


def together(root: Combination) -> list[str]:
    """The texts of leaves below sums of which several parts have different ones, in order; empty if there are none."""
    parts = list(_below([root]))
    leaves = {id(item): {item.identity} - {None} for item in parts}  # of each part two at most, which is enough
    outer: dict[int, list[Combination]] = {}
    for item in parts:
        for inner in item.parts:
            outer.setdefault(id(inner), []).append(item)
    for item in (queue := [item for item in parts if item.identity is not None]):  # grows while it is walked
        for around in outer.get(id(item), ()):
            known = leaves[id(around)]
            if len(known) < 2 and not leaves[id(item)] <= known:
                known.update(list(leaves[id(item)] - known)[: 2 - len(known)])
                queue.append(around)
    sums = [item for item in parts if not item.either and len(leaves[id(item)]) > 1]
    sums = [item for item in sums if sum(bool(leaves[id(inner)]) for inner in item.parts) > 1]
    inside = {id(item) for item in _below(sums)}
    found = {item.identity: item.text for item in parts if item.identity is not None and id(item) in inside}
    texts = list(dict.fromkeys(found.values()))
    return texts if len(texts) > 1 else []


def _below(parts: Iterable[Combination]) -> Iterator[Combination]:
    """The parts and all inside them, in order, each once."""
    seen: set[int] = set()
    stack = list(parts)[::-1]
    while stack:
        item = stack.pop()
        if id(item) not in seen:
            seen.add(id(item))
            yield item
            stack += reversed(item.parts)
