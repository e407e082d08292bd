"""With how many examples a property is tried: few of them by default, all of them in the gate.

A test says what the gate is to try; the default suite tries a quarter of that. For all of them:
``pytest --hypothesis-profile=thorough``.
"""

from __future__ import annotations

from hypothesis import settings

__all__ = ["examples"]

# No deadline: a busy machine is not a fault.
settings.register_profile("suite", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile("suite")


def examples(count: int) -> settings:
    """The settings of a property that the gate tries with so many examples."""
    return settings(max_examples=max(1, count * settings().max_examples // 100))
