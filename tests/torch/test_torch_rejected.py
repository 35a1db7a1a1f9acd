"""Each rule that tells a softmax from attention holds alone, and says its own reason."""

import pytest
import torch
from torch import Tensor, nn

import attncore

DIM = 8


class LearnedMixture(nn.Module):
    """A softmax of a parameter weighs positions: the same mixture whatever the input is."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.mixture, self.value = nn.Parameter(torch.randn(length, length)), nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        return self.mixture.softmax(-1) @ self.value(x)


class Memory(nn.Module):
    """A product of two data tensors weighs rows of a parameter, one for each position."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
        self.rows = nn.Parameter(torch.randn(length, DIM))

    def forward(self, x: Tensor) -> Tensor:
        return (self.query(x) @ self.key(x).mT).softmax(-1) @ self.rows


@pytest.mark.parametrize(
    ("model", "reason"),
    [(LearnedMixture(4), "its scores come from a parameter"), (Memory(4), "a softmax over rows of a parameter")],
    ids=["mixture", "memory"],
)
def test_a_softmax_that_is_no_attention_is_rejected_for_its_own_reason(model: nn.Module, reason: str) -> None:
    """Nothing is shown, and the reason is that of the rule that is meant."""
    with pytest.raises(attncore.NoAttentionError) as caught:
        attncore.trace(model, torch.randn(2, 4, DIM))
    reasons = [entry.reason for entry in caught.value.coverage.with_status("rejected")]
    assert len(reasons) == 1
    assert reason in reasons[0]
