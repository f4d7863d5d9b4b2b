"""Which known name did somebody mean?"""

from __future__ import annotations

from typing import Any


def nearest(name: str, known: Any) -> str:
    """Return `; did you mean 'x'?` for the closest known name, or the list of known names where none is close."""
    from difflib import get_close_matches

    names = [str(item) for item in known]
    swapped = [
        f"{name[:place]}{name[place + 1]}{name[place]}{name[place + 2 :]}".lower() for place in range(len(name) - 1)
    ]
    close = [each for each in names if each.lower() in (name.lower(), *swapped)] or get_close_matches(
        name, names, 1, 0.6
    )
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(sorted(names))}" if 0 < len(names) <= 20 else ""
