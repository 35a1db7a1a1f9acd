"""PyTorch alone: a small transformer of torch.nn, its weights against numpy, and the model left as it was."""

from __future__ import annotations

import torch
from shared import heads_of, only, report, same_weights, saved_and_shown, softmax_of_products

import attncore


class Block(torch.nn.Module):
    """Causal self-attention with PyTorch's fused kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (torch.nn.Linear(16, 16) for _ in range(3))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(batch, length, 16) to the same."""
        query, key, value = (
            layer(states).unflatten(-1, (4, 4)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return states + mixed.transpose(1, 2).flatten(2)


def own_code() -> str:
    """Two blocks of fused attention."""
    blocks = [Block(), Block()]
    model = torch.nn.Sequential(*blocks).train(False)
    inputs = torch.randn(2, 6, 16)
    with torch.no_grad():
        plain = model(inputs)
        trace = attncore.trace(model, inputs)
        assert torch.equal(trace.output, plain)
        assert torch.equal(model(inputs), plain)
        states, expected = inputs, {}
        for index, block in enumerate(blocks):
            query, key = (
                heads_of(states.numpy(), layer.weight.T.numpy(), layer.bias.numpy(), 4)
                for layer in (block.query, block.key)
            )
            expected[index] = softmax_of_products(query, key, causal=True)
            states = block(states)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return f"{same_weights(trace, expected)}, {saved_and_shown(trace)}"


def library_layer() -> str:
    """`torch.nn.TransformerEncoderLayer`."""
    layer = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).train(False)
    inputs = torch.randn(2, 6, 16)
    with torch.no_grad():
        trace = attncore.trace(layer, inputs)
        weight, bias = layer.self_attn.in_proj_weight.numpy(), layer.self_attn.in_proj_bias.numpy()
    query, key = (heads_of(inputs.numpy(), weight[s].T, bias[s], 4) for s in (slice(0, 16), slice(16, 32)))
    return same_weights(trace, {0: softmax_of_products(query, key)})


if __name__ == "__main__":
    torch.manual_seed(0)
    report(only("torch"), own_code(), f"nn.TransformerEncoderLayer {library_layer()}")
