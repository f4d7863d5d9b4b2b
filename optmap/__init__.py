"""optmap moves optimizers between PyTorch, TensorFlow/Keras and MindSpore and proves that they do the same arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optmap.api import translate_source as translate_source

__version__ = "0.1.0"
__all__ = ["__version__", "translate_source"]


def __getattr__(name: str) -> Any:
    """Import the public functions on first use, so that `import optmap` stays cheap."""
    if name in __all__:
        import optmap.api

        return getattr(optmap.api, name)
    raise AttributeError(f"module 'optmap' has no attribute {name!r}")
