"""Models of timm, vit-pytorch and x-transformers, against every softmax that they compute."""

import library_models
import pytest
from model_case import ModelCase, examine

CASES = list(library_models.all_cases())


@pytest.mark.filterwarnings("ignore:`torch.backends.cuda.sdp_kernel:FutureWarning")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_library_model(case: ModelCase) -> None:
    """Weights, kinds, notes and coverage are as expected, and the output and the model are unchanged."""
    if not library_models.installed(case.family):
        pytest.skip(f"{case.family} is not installed")
    faults = examine(case.make()).faults
    assert not faults, "\n".join(faults)
