"""The ways in which a JAX function and its arguments are given: closures, keywords, numpy, objects, other types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax_case import Catalogue, Prepared
from jax_functions import Array, Parameters, hidden, multi_head, projections, self_weights

from attncore import Inputs

case = Catalogue("JAX calls")
cases = case.cases


@case("parameters in the closure")
def closure() -> Prepared:
    params, x = projections(), hidden()
    return Prepared(lambda x: multi_head(params, x), Inputs(x), [self_weights(params, x)])


@case("keyword arguments")
def keywords() -> Prepared:
    def attend(*, params: Parameters, hidden_states: Array, scale_output: bool = True) -> Array:
        return multi_head(params, hidden_states) * (2.0 if scale_output else 1.0)

    params, x = projections(), hidden()
    inputs = Inputs(params=params, hidden_states=x, scale_output=False)

    def plain() -> Array:
        return jax.jit(attend, static_argnames="scale_output")(params=params, hidden_states=x, scale_output=False)

    return Prepared(attend, inputs, [self_weights(params, x)], plain=plain)


@case("inputs in numpy")
def numpy_inputs() -> Prepared:
    params, x = jax.tree.map(np.asarray, projections()), np.asarray(hidden())
    return Prepared(multi_head, Inputs(params, x), [self_weights(params, x)])


@case("float16")
def float16() -> Prepared:
    params, x = jax.tree.map(lambda a: a.astype(jnp.float16), projections()), hidden().astype(jnp.float16)
    reference = self_weights(params, x)
    return Prepared(multi_head, Inputs(params, x), [reference], tolerance=4e-3, output_tolerance=2e-3)


@case("parameters by functools.partial")
def by_partial() -> Prepared:
    params, x = projections(), hidden()
    return Prepared(partial(multi_head, params), Inputs(x), [self_weights(params, x)])


class Layer:
    """A class of one's own that is no pytree."""

    def apply(self, params: Parameters, x: Array) -> Array:
        return multi_head(params, x)


@case("a bound method, parameters first")
def bound_method() -> Prepared:
    params, x = projections(), hidden()
    return Prepared(Layer().apply, Inputs(params, x), [self_weights(params, x)])


class State(NamedTuple):
    """Parameters and a counter, as in training loops."""

    params: Parameters
    step: Array


@case("parameters in a named tuple with a counter")
def named_tuple() -> Prepared:
    params, x = projections(), hidden()
    state = State(params, jnp.asarray(3))
    return Prepared(lambda state, x: multi_head(state.params, x), Inputs(state, x), [self_weights(params, x)])


@partial(jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=[])
@dataclass
class Module:
    """A callable dataclass that JAX knows as a pytree: a module library in five lines."""

    params: Parameters

    def __call__(self, x: Array) -> Array:
        return multi_head(self.params, x)


@case("a callable dataclass that is a pytree")
def callable_dataclass() -> Prepared:
    params, x = projections(), hidden()
    return Prepared(Module(params), Inputs(x), [self_weights(params, x)])


@case("the inputs a dictionary within a dictionary")
def nested_inputs() -> Prepared:
    params, x = projections(), hidden()
    batch = {"text": {"hidden": x, "length": jnp.asarray([8, 8])}}

    def call(params: Parameters, batch: dict[str, Any]) -> dict[str, Any]:
        return {"out": multi_head(params, batch["text"]["hidden"]), "length": batch["text"]["length"]}

    return Prepared(call, Inputs(params, batch), [self_weights(params, x)])


@case("tokens embedded in the function, outputs of many kinds")
def from_tokens() -> Prepared:
    params = {**projections(), "embedding": hidden(11, 24)}
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 11, (2, 8)))

    def call(params: Parameters, tokens: Array) -> tuple[Any, ...]:
        out = multi_head(params, params["embedding"][tokens])
        return out, tokens, None, {"logits": out @ params["embedding"].T, "name": "tiny"}

    def plain() -> tuple[Any, ...]:
        out, same, _, more = jax.jit(lambda *args: (*call(*args)[:3], call(*args)[3]["logits"]))(params, tokens)
        return out, same, None, {"logits": more, "name": "tiny"}

    return Prepared(call, Inputs(params, tokens), [self_weights(params, params["embedding"][tokens])], plain=plain)
