"""What can go wrong with the local stack; each message tells a person what to do."""

from __future__ import annotations


class LocalStackError(Exception):
    """The stack cannot do what was asked. Printed as it is, without a stack trace."""


class PartMissing(LocalStackError):
    """A program that the stack needs is not on this machine."""


class PortTaken(LocalStackError):
    """Somebody else listens on a port of ours."""


class StartFailed(LocalStackError):
    """A part does not come up."""
