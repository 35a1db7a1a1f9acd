"""JAX functions and modules of many kinds, each against a reference that attncore has no part in."""

from __future__ import annotations

import pytest

pytest.importorskip("jax")
pytest.importorskip("flax")
pytest.importorskip("equinox")

from jax_case import JaxCase, examine
from jax_cases import cases

CASES = list(cases())
# The reference of nnx's own module is what it sows, in the way that all its versions know.
pytestmark = pytest.mark.filterwarnings("ignore:Using 'Module.sow\\(\\)' outside of:DeprecationWarning")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: JaxCase) -> None:
    """Weights, kinds, names, notes and coverage are as expected, and the output and the model are unchanged."""
    faults = examine(case.make()).faults
    assert not faults, "\n".join(faults)


def test_there_are_cases() -> None:
    """A catalogue that is empty would pass in silence."""
    assert len(CASES) >= 200
    assert len({str(case) for case in CASES}) == len(CASES)
