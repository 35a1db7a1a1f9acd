"""Models of timm, vit-pytorch and x-transformers, against every softmax that they compute."""

import library_models
import pytest
from model_case import ModelCase, examine

import attncore

# Its clamp is a torch.jit.script function between the scores and the softmax: what runs in there cannot be seen.
SCRIPTED = "softclamp"
CASES = [case for case in library_models.all_cases() if case.name != SCRIPTED]


@pytest.mark.filterwarnings("ignore:`torch.backends.cuda.sdp_kernel:FutureWarning")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_library_model(case: ModelCase) -> None:
    """Weights, kinds, notes and coverage are as expected, and the output and the model are unchanged."""
    if not library_models.installed(case.family):
        pytest.skip(f"{case.family} is not installed")
    faults = examine(case.make()).faults
    assert not faults, "\n".join(faults)


@pytest.mark.filterwarnings("ignore:`torch.backends.cuda.sdp_kernel:FutureWarning")
def test_a_scripted_step_is_reported() -> None:
    """Attention with a scripted function inside is not shown, and the error says where it was."""
    if not library_models.installed("x-transformers"):
        pytest.skip("x-transformers is not installed")
    case = next(case for case in library_models.all_cases() if case.name == SCRIPTED)
    prepared = case.make()
    with pytest.raises(attncore.NoAttentionError) as caught:
        attncore.trace(prepared.model, prepared.inputs)
    assert len(caught.value.coverage) == len(prepared.references)
    assert all("attend" in entry.name and entry.what == "softmax" for entry in caught.value.coverage)
