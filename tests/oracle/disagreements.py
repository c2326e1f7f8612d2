"""Where the product is known to differ from the oracle: each class named, narrowed, and with its smallest example.

The comparison lets a verdict pass only where it is listed here for what the transition holds. When the product
catches up, the example of the class passes, and the class is to be taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.oracle.references import Transition
from tests.oracle.verdicts import RIGHT, Verdict


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A class of transitions on which the product is wrong, and in which ways."""

    name: str
    sections: str
    holds: Callable[[Transition], bool]
    verdicts: frozenset[Verdict]


def is_known(transition: Transition, verdict: Verdict) -> bool:
    """Tell whether this verdict is right, or listed for what this transition holds."""
    return verdict in RIGHT or any(verdict in one.verdicts and one.holds(transition) for one in KNOWN)


KNOWN: tuple[Disagreement, ...] = ()
"""None is known."""
