"""optmap moves optimizers between PyTorch, TensorFlow/Keras and MindSpore and proves that they compute the same."""

from __future__ import annotations

TYPE_CHECKING = False  # spares the import of typing
if TYPE_CHECKING:
    from typing import Any

    from optmap.api import translate_source as translate_source
    from optmap.conformance.api import check as check
    from optmap.conformance.results import Report as Report
    from optmap.conformance.select import CheckError as CheckError
    from optmap.conformance.simulate import Group as Group
    from optmap.conformance.simulate import SparseRows as SparseRows
    from optmap.conformance.simulate import simulate as simulate
    from optmap.diagnostics import Diagnostic as Diagnostic
    from optmap.mapping.stored import MappingError as MappingError
    from optmap.state.convert import convert_state as convert_state
    from optmap.translate.results import FileResult as FileResult

__version__ = "0.1.0"

_DEFINED_IN = {
    "translate_source": "optmap.api",
    "check": "optmap.conformance.api",
    "convert_state": "optmap.state.convert",
    "simulate": "optmap.conformance.simulate",
    "Group": "optmap.conformance.simulate",
    "SparseRows": "optmap.conformance.simulate",
    "CheckError": "optmap.conformance.select",
    "Report": "optmap.conformance.results",
    "Diagnostic": "optmap.diagnostics",
    "FileResult": "optmap.translate.results",
    "MappingError": "optmap.mapping.stored",
}
__all__ = [
    "CheckError", "Diagnostic", "FileResult", "Group", "MappingError", "Report", "SparseRows", "__version__", "check",
    "convert_state", "simulate", "translate_source",
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "annotations"})


def __getattr__(name: str) -> Any:
    """Import a public function on first use, so that `import optmap` stays cheap."""
    if name in _DEFINED_IN:
        from importlib import import_module

        return getattr(import_module(_DEFINED_IN[name]), name)
    raise AttributeError(f"module 'optmap' has no attribute {name!r}")
