"""The interpreters of the audit's tests, for the commands' tests."""

from tests.audit.conftest import fake_torch, interpreter

__all__ = ["fake_torch", "interpreter"]
