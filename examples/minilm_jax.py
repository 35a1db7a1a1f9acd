"""all-MiniLM-L6-v2, a real BERT of 6 layers x 12 heads, as one plain JAX function of its parameters.

Traces a sentence through the jitted function and prints what each head does. Needs JAX and the packages of
requirements-demo.txt. Usage: ``python examples/minilm_jax.py``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from safetensors.numpy import load_file
from transformers import AutoTokenizer

import attncore
from attncore.cli_demo import MODELS, folder_of

LAYERS, HEADS, DIM = 6, 12, 384
TEXT = "The cat sat on the mat because it was tired."

Array = jax.Array
Parameters = dict[str, Any]


def read_parameters() -> Parameters:
    """The published weights as nested dictionaries, by the names of their tensors."""
    tree: Parameters = {}
    for name, array in load_file(folder_of(MODELS["minilm"]) / "model.safetensors").items():
        if array.dtype.kind != "f":
            continue
        *path, last = name.removeprefix("bert.").split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = jnp.asarray(array)
    return tree


def dense(params: dict[str, Array], x: Array) -> Array:
    """A linear layer, its weight (outputs, inputs) as PyTorch keeps it."""
    return x @ params["weight"].T + params["bias"]


def norm(params: dict[str, Array], x: Array) -> Array:
    """A layer normalisation with BERT's epsilon."""
    centred = x - x.mean(-1, keepdims=True)
    deviation = jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return centred / deviation * params["weight"] + params["bias"]


def attention(params: Parameters, x: Array, mask: Array) -> Array:
    """Multi-head self-attention, (batch, tokens, dim) to the same."""
    query, key, value = (
        dense(params[name], x).reshape(*x.shape[:2], HEADS, DIM // HEADS) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / (DIM // HEADS) ** 0.5
    weights = jax.nn.softmax(jnp.where(mask[:, None, None, :] > 0, scores, -jnp.inf))
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape)


@jax.jit
def bert(params: Parameters, ids: Array, mask: Array) -> Array:
    """BERT without its pooler: ids and mask (batch, tokens) to hidden states (batch, tokens, dim)."""
    tables = params["embeddings"]
    places, segment = (tables[f"{name}_embeddings"]["weight"] for name in ("position", "token_type"))
    x = tables["word_embeddings"]["weight"][ids] + places[: ids.shape[1]] + segment[0]
    x = norm(tables["LayerNorm"], x)
    for i in range(LAYERS):
        layer = params["encoder"]["layer"][str(i)]
        with jax.named_scope(f"layer_{i}"):
            mixed = attention(layer["attention"]["self"], x, mask)
            output = layer["attention"]["output"]
            x = norm(output["LayerNorm"], x + dense(output["dense"], mixed))
            inner = jax.nn.gelu(dense(layer["intermediate"]["dense"], x), approximate=False)
            x = norm(layer["output"]["LayerNorm"], x + dense(layer["output"]["dense"], inner))
    return x


def load_minilm() -> tuple[Parameters, Any]:
    """The parameters and the tokenizer.

    Raises:
        ModelLoadError: the package that carries the weights is not installed.
    """
    return read_parameters(), AutoTokenizer.from_pretrained(folder_of(MODELS["minilm"]), local_files_only=True)


def inputs_of(tokenizer: Any, texts: list[str]) -> tuple[Array, Array]:
    """Ids and mask (batch, tokens)."""
    encoded = tokenizer(texts, return_tensors="np", padding=True)
    return jnp.asarray(encoded["input_ids"]), jnp.asarray(encoded["attention_mask"])


def demo(text: str) -> tuple[Any, attncore.Inputs, list[str]]:
    """What `attncore.trace` is to be given for a text: the function, its inputs, and the tokens."""
    parameters, tokenizer = load_minilm()
    ids, mask = inputs_of(tokenizer, [text])
    return bert, attncore.Inputs(parameters, ids, mask), tokenizer.convert_ids_to_tokens(ids[0].tolist())


def main() -> None:
    """Trace one sentence and show it in the terminal."""
    function, inputs, tokens = demo(TEXT)
    print(attncore.render(attncore.trace(function, inputs, tokens=tokens), "terminal"))


if __name__ == "__main__":
    main()
