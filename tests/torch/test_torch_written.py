"""A model may write over its tensors: what was captured of them stays as it was when it was used."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

import attncore

LENGTH, DIM = 5, 8
Write = Callable[[Tensor], Any]

WRITES: dict[str, Write] = {
    "mul_": lambda t: t.mul_(2),
    "addmm_": lambda t: t.addmm_(t, torch.ones(t.shape[1], t.shape[1])),
    "copy_": lambda t: t.copy_(torch.zeros_like(t)),
    "scatter_": lambda t: t.scatter_(1, torch.zeros(len(t), 1, dtype=torch.long), 9.0),
    "masked_fill_": lambda t: t.masked_fill_(t > 0.1, -7.0),
    "+=": lambda t: t.__iadd__(1),
    "//=": lambda t: t.__ifloordiv__(0.3),
    "[0] =": lambda t: t.__setitem__(0, 3.0),
    ".data": lambda t: t.data.mul_(2),
    "other memory": lambda t: setattr(t, "data", torch.zeros_like(t)),
    "a view": lambda t: t.view(-1).mul_(2),
    "out=": lambda t: torch.mul(t, 2, out=t),
    "out= of two": lambda t: torch.max(t, 1, out=(t[:, 0], torch.zeros(len(t), dtype=torch.long))),
    "relu": lambda t: F.relu(t - 0.5, inplace=True) + F.relu(t.neg_(), inplace=True),
    "inplace=": lambda t: F.threshold(t, 0.2, 3.0, inplace=True),
    "a module": lambda t: nn.Hardtanh(0.0, 0.1, inplace=True)(t),
    "rrelu": lambda t: F.rrelu(t - 0.5, inplace=True) + F.rrelu(t.neg_(), inplace=True),
    "dropout": lambda t: F.dropout(t, 0.5, training=True, inplace=True),
    "an operator": lambda t: torch.ops.aten.mul_(t, 3),
    "an operator of known types": lambda t: torch.ops.aten.mul_.Scalar(t, 3),
    "an operator with out=": lambda t: torch.ops.aten.mul.out(t, torch.tensor(3.0), out=t),
    "a list": lambda t: torch._foreach_mul_([t], 3.0),
}


class WritesOver(nn.Module):
    """Attends over (query, key) without batch or heads, then writes over the memory of what it used."""

    def __init__(self, how: str, place: str, write: Write) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
        self.how, self.place, self.write = how, place, write

    def forward(self, x: Tensor) -> Tensor:
        """(query, DIM) from (query, DIM)."""
        used = {"queries": self.q(x), "keys": self.k(x)}
        if self.how == "sdpa":
            one = (used["queries"], used["keys"], x)
            y = F.scaled_dot_product_attention(*(each[None, None] for each in one))[0, 0]
        else:
            used["weights"] = torch.softmax(used["queries"] @ used["keys"].mT * DIM**-0.5, -1)
            if self.how == "manual, before its use":
                applied = used["weights"].clone()
                self.write(used[self.place])
                return applied @ x
            y = used["weights"] @ x
        self.write(used[self.place])
        return y


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize(
    ("how", "place"),
    [
        ("sdpa", "queries"),
        ("sdpa", "keys"),
        ("manual", "queries"),
        ("manual", "weights"),
        ("manual, before its use", "keys"),
    ],
)
def test_what_is_held_stays_as_it_was_used(how: str, place: str, write: Write, keep: Any) -> None:
    """Weights, queries and keys are those of the product, though the model uses their memory again before it ends."""
    torch.manual_seed(0)
    model, x = WritesOver(how, place, write).eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad():
        trace = attncore.trace(model, x, keep=keep)
        q, k = model.q(x).double(), model.k(x).double()
    reference = (q @ k.mT / DIM**0.5).softmax(-1).numpy()
    assert len(trace) == 1
    assert np.abs(np.asarray(trace[0].weights)[0, 0] - reference).max() <= 1e-6
    for held, used in ((trace[0].query, q), (trace[0].key, k)):
        assert np.allclose(np.asarray(held)[0, 0], used.numpy(), atol=1e-6)


def test_dropout_that_writes_over_the_weights() -> None:
    """What is held are the weights before dropout, also where dropout has no memory of its own."""

    class Dropping(WritesOver):
        def forward(self, x: Tensor) -> Tensor:
            weights = torch.softmax(self.q(x) @ self.k(x).mT * DIM**-0.5, -1)
            return F.dropout(weights, 0.5, training=True, inplace=True) @ x

    model, x = Dropping("", "", lambda t: t), torch.randn(LENGTH, DIM)
    layer = attncore.trace(model, x)[0]
    with torch.no_grad():
        reference = (model.q(x).double() @ model.k(x).double().mT / DIM**0.5).softmax(-1).numpy()
    assert np.abs(np.asarray(layer.weights)[0, 0] - reference).max() <= 1e-6
    assert layer.notes == ("dropout is applied after these weights",)


class ChangesItsMask(nn.Module):
    """Two attentions under one mask, which is changed between them and afterwards."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)
        self.mask = mask
        self.applied: list[np.ndarray[Any, Any]] = []

    def forward(self, x: Tensor) -> Tensor:
        """(query, DIM) from (query, DIM)."""
        mask = self.mask.clone()
        for _ in range(2):
            q, k = self.q(x), self.k(x)
            scores = q.double() @ k.double().mT / DIM**0.5
            seen = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
            self.applied.append(seen.detach().softmax(-1).numpy())
            x = F.scaled_dot_product_attention(q[None, None], k[None, None], x[None, None], attn_mask=mask)[0, 0]
            if mask.dtype == torch.bool:
                mask.logical_not_().fill_diagonal_(True)
            else:
                mask.sub_(0.7)
                mask[0].mul_(-1)
        return x


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("mask", [torch.randn(LENGTH, LENGTH), torch.ones(LENGTH, LENGTH).bool().tril()])
def test_a_mask_that_the_model_changes(mask: Tensor, keep: Any) -> None:
    """Each layer's weights are those under the mask as it was then."""
    model = ChangesItsMask(mask).eval()
    with torch.no_grad():
        trace = attncore.trace(model, torch.randn(LENGTH, DIM), keep=keep)
    assert len(trace) == 2
    for layer, applied in zip(trace, model.applied, strict=True):
        assert np.abs(np.asarray(layer.weights)[0, 0] - applied).max() <= 1e-6


def test_flex_attention_whose_queries_are_written_over() -> None:
    """Its weights are computed from query and key when they are read, so these must stay."""
    from torch.nn.attention.flex_attention import flex_attention

    class Flex(WritesOver):
        def forward(self, x: Tensor) -> Tensor:
            q, k = self.q(x), self.k(x)
            y = flex_attention(q[None, None], k[None, None], x[None, None])[0, 0]
            q.zero_()
            return y

    model, x = Flex("", "", lambda t: t).eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad():
        layer = attncore.trace(model, x)[0]
        reference = (model.q(x).double() @ model.k(x).double().mT / DIM**0.5).softmax(-1).numpy()
    assert np.abs(np.asarray(layer.weights)[0, 0] - reference).max() <= 1e-6


def in_another_thread(tensor: Tensor) -> None:
    """Writes where the capture's eyes are not."""
    thread = threading.Thread(target=tensor.zero_)
    thread.start()
    thread.join()


def unseen(tensor: Tensor) -> None:
    """Writes past every function mode."""
    with torch._C.DisableTorchFunction():
        tensor.zero_()


@pytest.mark.parametrize("keep", ["weights", "qk"])
@pytest.mark.parametrize("write", [in_another_thread, unseen])
@pytest.mark.parametrize(("how", "place"), [("sdpa", "queries"), ("sdpa", "keys"), ("manual", "weights")])
def test_writes_that_cannot_be_seen_are_reported(how: str, place: str, write: Write, keep: Any) -> None:
    """Rather than other numbers than those that were used, the layer gives a reason."""
    model, x = WritesOver(how, place, write).eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad(), pytest.raises(attncore.NoAttentionError, match="written over where no capture sees it"):
        attncore.trace(model, x, keep=keep)


def test_queries_that_are_written_over_unseen_are_left_out() -> None:
    """Weights that were seen stay, and a note says why there are no queries."""
    model, x = WritesOver("manual", "queries", unseen).eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad():
        layer = attncore.trace(model, x)[0]
        reference = (model.q(x).double() @ model.k(x).double().mT / DIM**0.5).softmax(-1).numpy()
    assert np.abs(np.asarray(layer.weights)[0, 0] - reference).max() <= 1e-6
    assert layer.query is None
    assert layer.key is not None
    assert any("the memory of its query was written over" in note for note in layer.notes)


@pytest.mark.parametrize("how", ["manual", "sdpa"])
def test_results_that_are_written_over_between_calls(how: str) -> None:
    """What a model gives away may be its queries or weights; who writes over them is told what is gone."""

    class GivesAway(WritesOver):
        def forward(self, x: Tensor) -> Tensor:
            given: list[Tensor] = []
            self.write = given.append
            super().forward(x)
            return given[0]

    place = "weights" if how == "manual" else "queries"
    model, x = GivesAway(how, place, lambda t: t).eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad(), attncore.capture(model, keep="qk") as session:
        session(x).zero_()
        session(x)
    trace = session.trace()
    assert len(trace) == 1
    assert [entry.status for entry in trace.coverage] == ["rejected"]
    reference = (model.q(x).double() @ model.k(x).double().mT / DIM**0.5).softmax(-1).detach().numpy()
    assert np.abs(np.asarray(trace[0].weights)[0, 0] - reference).max() <= 1e-6


def test_a_cache_that_is_read_through_a_cast() -> None:
    """A cast to the type that a tensor has gives the tensor itself, which the next call writes over."""

    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.keys = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM), torch.zeros(LENGTH, DIM)

        def forward(self, x: Tensor) -> Tensor:
            keys = self.keys.copy_(self.k(x)).to(x.dtype)
            return F.scaled_dot_product_attention(*(each[None, None] for each in (self.q(x), keys, x)))[0, 0]

    model, x = Caching().eval(), torch.randn(LENGTH, DIM)
    with torch.no_grad():
        trace = attncore.trace(model, x, keep="qk")
        model(torch.randn(LENGTH, DIM))
    reference = (model.q(x).double() @ model.k(x).double().mT / DIM**0.5).softmax(-1).detach().numpy()
    assert np.abs(np.asarray(trace[0].weights)[0, 0] - reference).max() <= 1e-6
