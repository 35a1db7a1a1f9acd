"""TensorFlow and Keras models, each against a reference in numpy that the model itself confirms."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")

from tensorflow_case import TensorFlowCase, confirm, examine
from tensorflow_cases import cases

CASES = list(cases())
# Keras reads a .keras file by handing its own variables to numpy, without the keyword that numpy 2 asks for.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    # KerasHub's T5 hands masks to layers that take none, and builds while it is first called.
    pytest.mark.filterwarnings("ignore:.*(looks like it has unbuilt state|does not support masking):UserWarning"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_is_what_the_model_computes(case: TensorFlowCase) -> None:
    """No capture takes part in this."""
    assert not confirm(case.prepare())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: TensorFlowCase) -> None:
    """Weights, kinds, notes and coverage are as expected, and the output and the model are unchanged."""
    faults = examine(case.prepare()).faults
    assert not faults, "\n".join(faults)


def test_there_are_cases() -> None:
    """A catalogue that is empty would pass in silence."""
    assert len(CASES) >= 90
    assert len({case.name for case in CASES}) == len(CASES)
