"""Hand-written attention, PyTorch's own modules, pooling, and what is not attention, against their references."""

import pytest
from model_case import ModelCase, examine
from other_models import cases_of

SOURCES = (
    "builtin_models",
    "handwritten_products",
    "handwritten_scores",
    "handwritten_modules",
    "pooling_models",
    "not_attention",
)
CASES = [case for source in SOURCES for case in cases_of(source)]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: ModelCase) -> None:
    """Weights, kinds, notes and coverage are as expected, and the output and the model are unchanged."""
    faults = examine(case.make()).faults
    assert not faults, "\n".join(faults)


def test_there_are_cases() -> None:
    """A catalogue that is empty would pass in silence."""
    assert len(CASES) > 200
    assert len({case.name for case in CASES}) == len(CASES)
