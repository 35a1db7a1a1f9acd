"""PyTorch's own attention modules as cases: `nn.MultiheadAttention` and what is built of it.

The reference is what a `nn.MultiheadAttention` returns itself when it is asked for the weights of each head.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from model_case import ModelCase, Prepared
from torch import Tensor, nn

from attncore import Inputs

BATCH, HEADS, DIM, ROWS, COLUMNS = 2, 4, 32, 5, 7
FAMILY = "torch.nn"


def cases() -> Iterator[ModelCase]:
    """`nn.MultiheadAttention` in all its configurations, then encoder, decoder and the whole transformer."""
    yield from multi_head_cases()
    yield from stack_cases()


# MultiheadAttention.

MASKS = ("", "float", "bool", "3-D float", "3-D bool", "causal")
WEIGHTS: dict[str, dict[str, Any]] = {
    "averaged": {"need_weights": True},
    "per head": {"need_weights": True, "average_attn_weights": False},
    "without weights": {"need_weights": False},
}
KINDS: dict[str, dict[str, Any]] = {
    "self": {},
    "cross": {},
    "kdim vdim": {"kdim": 24, "vdim": 20},
    "bias_kv": {"add_bias_kv": True},
    "zero attn": {"add_zero_attn": True},
    "no bias": {"bias": False},
    "train": {"dropout": 0.25},
}


def multi_head_cases() -> Iterator[ModelCase]:
    """Every combination that the module takes."""
    for batch_first, weights, kind in product((True, False), WEIGHTS, KINDS):
        layout = "batch first" if batch_first else "sequence first"
        make = partial(multi_head, kind, batch_first=batch_first, weights=weights)
        yield ModelCase(FAMILY, f"MultiheadAttention {kind}, {layout}, {weights}", make)
    for mask, padded, weights in product(MASKS, (False, True), ("averaged", "without weights")):
        if mask or padded:
            name = f"MultiheadAttention mask {mask or 'none'}{', padding' if padded else ''}, {weights}"
            yield ModelCase(FAMILY, name, partial(multi_head, "self", mask=mask, padded=padded, weights=weights))
    for kind, weights in product(("self", "cross"), WEIGHTS):
        make = partial(multi_head, kind, weights=weights, batched=False)
        yield ModelCase(FAMILY, f"MultiheadAttention unbatched {kind}, {weights}", make)
    for kind in ("self", "cross"):
        make = partial(multi_head, kind, weights="without weights", grad=True)
        yield ModelCase(FAMILY, f"MultiheadAttention {kind} with gradients", make)


def multi_head(
    kind: str,
    *,
    weights: str,
    batch_first: bool = True,
    mask: str = "",
    padded: bool = False,
    batched: bool = True,
    grad: bool = False,
) -> Prepared:
    """One configuration, with its own weights as the reference."""
    module = nn.MultiheadAttention(DIM, HEADS, batch_first=batch_first, **KINDS[kind]).eval()
    given = multi_head_inputs(module, kind, batched=batched, grad=grad)
    columns = given["key"].shape[-2] if batch_first or not batched else given["key"].shape[0]
    given |= masks(mask, columns, padded=padded)
    with torch.no_grad():
        _, own = module(**{**given, "need_weights": True, "average_attn_weights": False})
    module.train(kind == "train")
    reference = own.double().numpy() if batched else own.double().numpy()[None]
    expected = "cross" if kind in ("cross", "kdim vdim") else "self"
    return Prepared(
        module,
        Inputs(**given, **WEIGHTS[weights]),
        [reference],
        output_tolerance=1e-6,
        notes_contain="dropout" if kind == "train" else "",
        kinds=[expected],
    )


def multi_head_inputs(module: nn.MultiheadAttention, kind: str, *, batched: bool, grad: bool) -> dict[str, Any]:
    """Query, key and value in the module's layout."""

    def tensor(length: int, width: int) -> Tensor:
        shape = (BATCH, length) if module.batch_first else (length, BATCH)
        return torch.randn(*(shape if batched else (length,)), width, requires_grad=grad)

    query = tensor(ROWS, DIM)
    if kind == "cross":
        memory = tensor(COLUMNS, DIM)
        return {"query": query, "key": memory, "value": memory}
    if kind == "kdim vdim":
        return {"query": query, "key": tensor(COLUMNS, module.kdim), "value": tensor(COLUMNS, module.vdim)}
    return {"query": query, "key": query, "value": query}


def masks(mask: str, columns: int, *, padded: bool) -> dict[str, Any]:
    """The mask arguments of these names."""
    given: dict[str, Any] = {}
    if mask:
        shape = (BATCH * HEADS, ROWS, columns) if mask.startswith("3-D") else (ROWS, columns)
        hidden = torch.rand(shape) < 0.3
        hidden[..., 0] = False  # a row without any key has no weights
        given["attn_mask"] = hidden if "bool" in mask else torch.randn(shape).masked_fill(hidden, float("-inf"))
    if mask == "causal":
        given["attn_mask"] = nn.Transformer.generate_square_subsequent_mask(ROWS)
        given["is_causal"] = True
    if padded:
        padding = torch.zeros(BATCH, columns, dtype=torch.bool)
        padding[1, -2:] = True
        # PyTorch wants both masks of one type.
        floats = "attn_mask" in given and given["attn_mask"].dtype != torch.bool
        given["key_padding_mask"] = torch.zeros(BATCH, columns).masked_fill(padding, -torch.inf) if floats else padding
    return given


# Encoder, decoder and transformer.


def stack_cases() -> Iterator[ModelCase]:
    """Stacks in training and evaluation, with gradients and without, with padding and masks."""
    for train, padded, batch_first in product((False, True), (False, True), (True, False)):
        options = {"train": train, "padded": padded, "batch_first": batch_first}
        words = (
            f"{'train' if train else 'eval'}{', padded' if padded else ''}{'' if batch_first else ', sequence first'}"
        )
        yield ModelCase(FAMILY, f"TransformerEncoder {words}", partial(encoder, **options))
        yield ModelCase(FAMILY, f"TransformerDecoder {words}", partial(decoder, **options))
        yield ModelCase(FAMILY, f"Transformer {words}", partial(transformer, **options))
    yield ModelCase(FAMILY, "TransformerEncoder eval, padded, no gradients", partial(encoder, padded=True, grad=False))
    yield ModelCase(FAMILY, "TransformerEncoder eval, no gradients", partial(encoder, grad=False))
    yield ModelCase(FAMILY, "TransformerEncoder norm first", partial(encoder, norm_first=True))
    yield ModelCase(FAMILY, "TransformerEncoder causal", partial(encoder, causal=True))
    yield ModelCase(FAMILY, "TransformerEncoderLayer eval, no gradients", encoder_layer)


class NoGrad(nn.Module):
    """Runs a module without gradients, where PyTorch takes its fast path."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            return self.inner(*args, **kwargs)


def own_weights(model: nn.Module, inputs: Inputs) -> list[np.ndarray]:
    """What each `nn.MultiheadAttention` inside returns for the arguments that it gets."""
    found: list[np.ndarray] = []
    busy: list[bool] = []

    def ask(module: nn.Module, args: Any, kwargs: Any) -> None:
        if busy:
            return
        busy.append(True)
        with torch.random.fork_rng():
            mode = module.training
            module.eval()  # the weights before dropout
            asked = {**kwargs, "need_weights": True, "average_attn_weights": False}
            weights = module(*args, **asked)[1].detach().double().numpy()
            # A padded row of a nested tensor is zero, that of an ordinary tensor is not: such rows do not count.
            weights[weights.sum(-1) == 0] = np.nan
            found.append(weights)
            module.train(mode)
        busy.clear()

    attentions = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
    handles = [module.register_forward_pre_hook(ask, with_kwargs=True) for module in attentions]
    torch.manual_seed(0)
    with torch.no_grad():
        model(*inputs.args, **inputs.kwargs)
    for handle in handles:
        handle.remove()
    return found


def hidden(length: int, batch_first: bool = True) -> Tensor:
    """Hidden states in the layout asked for."""
    return torch.randn(*((BATCH, length) if batch_first else (length, BATCH)), DIM)


def padding(length: int) -> Tensor:
    """True where the second item is padding."""
    mask = torch.zeros(BATCH, length, dtype=torch.bool)
    mask[1, -2:] = True
    return mask


def prepared(
    model: nn.Module, inputs: Inputs, kinds: list[str], *, train: bool, rows: Tensor | None = None
) -> Prepared:
    """References from the modules' own weights; evaluation may use a fast path whose output differs a little."""
    model.train(train)
    # Nested tensors give zeros in padded rows, the ordinary path does not.
    return Prepared(
        model,
        inputs,
        own_weights(model, inputs),
        output_tolerance=0.0 if train else 1e-5,
        output_rows=rows,
        notes_contain="dropout" if train else "",
        kinds=kinds,
    )


def encoder(
    *,
    train: bool = False,
    padded: bool = False,
    batch_first: bool = True,
    grad: bool = True,
    norm_first: bool = False,
    causal: bool = False,
) -> Prepared:
    """An encoder of two layers."""
    layer = nn.TransformerEncoderLayer(DIM, HEADS, 48, batch_first=batch_first, norm_first=norm_first)
    model: nn.Module = nn.TransformerEncoder(layer, 2, enable_nested_tensor=batch_first and not norm_first)
    given: dict[str, Any] = {"src_key_padding_mask": padding(ROWS)} if padded else {}
    if causal:
        given |= {"mask": nn.Transformer.generate_square_subsequent_mask(ROWS), "is_causal": True}
    model = model if grad else NoGrad(model)
    rows = ~padding(ROWS) if padded and batch_first and not train else None
    return prepared(model, Inputs(hidden(ROWS, batch_first), **given), ["self"] * 2, train=train, rows=rows)


def encoder_layer() -> Prepared:
    """One layer by itself, on its fast path."""
    model = NoGrad(nn.TransformerEncoderLayer(DIM, HEADS, 48, batch_first=True))
    return prepared(model, Inputs(hidden(ROWS)), ["self"], train=False)


def decoder(*, train: bool = False, padded: bool = False, batch_first: bool = True) -> Prepared:
    """A decoder of two layers, each with self- and cross-attention."""
    layer = nn.TransformerDecoderLayer(DIM, HEADS, 48, batch_first=batch_first)
    given: dict[str, Any] = {"tgt_mask": nn.Transformer.generate_square_subsequent_mask(ROWS), "tgt_is_causal": True}
    if padded:
        given["memory_key_padding_mask"] = padding(COLUMNS)
    inputs = Inputs(hidden(ROWS, batch_first), hidden(COLUMNS, batch_first), **given)
    return prepared(nn.TransformerDecoder(layer, 2), inputs, ["self", "cross"] * 2, train=train)


def transformer(*, train: bool = False, padded: bool = False, batch_first: bool = True) -> Prepared:
    """Encoder and decoder together."""
    model = nn.Transformer(DIM, HEADS, 2, 2, 48, batch_first=batch_first)
    given: dict[str, Any] = {"tgt_mask": nn.Transformer.generate_square_subsequent_mask(ROWS)}
    if padded:
        given |= {"src_key_padding_mask": padding(COLUMNS), "memory_key_padding_mask": padding(COLUMNS)}
    inputs = Inputs(hidden(COLUMNS, batch_first), hidden(ROWS, batch_first), **given)
    return prepared(model, inputs, ["self"] * 2 + ["self", "cross"] * 2, train=train)
