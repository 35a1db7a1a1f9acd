"""One call of a model as arrays: each with its name and what it is, and the rest, which the compiled program is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax

from attncore.arrays import Array
from attncore.dataflow import Origin

from ._jax_callable import Ordered, Target, argument_names, target_of
from ._jax_changes import Modules
from ._jax_constants import key_of, stays_numpy
from ._jax_trees import Input, Path, holds_arrays, is_array, is_nnx_module, keep_order, key_name, mappings, path_name

# What people call their arguments. Only where a name says nothing, the kind of argument decides.
_PARAMETERS = frozenset({"params", "param", "parameters", "variables", "weights", "theta", "state", "model", "module"})
_CACHES = frozenset({"cache", "caches", "kv_cache", "past", "past_key_values", "memory_cache", "carry"})
_DATA = frozenset(
    {
        *("x", "xs", "x0", "y", "q", "k", "v", "query", "key", "value", "mask", "attention_mask", "context", "memory"),
        *("input", "inputs", "input_ids", "ids", "token", "tokens", "batch", "data", "features", "positions"),
        *("hidden", "hidden_states", "image", "images", "audio", "src", "tgt", "source", "target"),
    }
)
# Settings of JAX that change what a function is traced to.
_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_numpy_dtype_promotion")
# Of these, what may as well be the name of a weight.
_VECTORS = frozenset({"q", "k", "v", "query", "key", "value", "memory", "features"})
_MODULE_LIBRARIES = ("flax", "equinox", "haiku", "penzai.nn", "penzai.models")


@dataclass
class Call:
    """The arrays of one call and how to run it on others of the same shapes.

    ``held`` are the numpy arrays of the model, which are no arguments of the program, and so a part of its ``key``.
    ``key`` is equal for calls that the same compiled program serves; None where that cannot be told.
    """

    target: Target
    arrays: list[Any]
    inputs: list[Input]
    run: Callable[[Sequence[Any]], tuple[Any, Any]]
    key: Any
    modules: Modules
    held: list[tuple[Array, Input]]

    def bring_up_to_date(self, changes: tuple[Any, Any]) -> None:
        """Give the user's own modules what the call changed."""
        self.modules.bring_up_to_date(changes[0])
        if self.target.update is not None:
            self.target.update(changes[1])


@dataclass
class _Leaves:
    """What a tree of arguments is made of, in its own order; arrays by their place, modules of nnx together.

    ``array_places`` has for each place of an array in the tree its number in ``arrays``. Numpy arrays of the model are
    in ``static``, and in ``held`` with what they are.
    """

    arrays: list[Any] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    static: list[Any] = field(default_factory=list)
    held: list[tuple[Array, Input]] = field(default_factory=list)
    array_places: list[tuple[int, int]] = field(default_factory=list)
    modules: list[Any] = field(default_factory=list)
    module_places: list[int] = field(default_factory=list)
    # By identity, since a tree of parameters may have thousands of arrays.
    data_numbers: dict[int, int] = field(default_factory=dict)

    def add(self, array: Any, described: Input) -> int:
        """The number of an array; data that is given twice is one array, as it is where the function is called."""
        number = len(self.arrays)
        if described.origin == "data":
            number = self.data_numbers.setdefault(id(array), number)
        if number < len(self.arrays):
            known = self.inputs[number]
            self.inputs[number] = replace(known, other_names=(*known.other_names, described.name))
        else:
            self.arrays.append(array)
            self.inputs.append(described)
        return number


def call_of(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """The call ``model(*args, **kwargs)`` as arrays.

    Raises:
        UnsupportedModelError: the model cannot be called.
    """
    target = target_of(model)
    tree = (target.held, args, dict(kwargs))
    paths, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_nnx_module)
    arguments = _arguments(model, target, args, kwargs)
    leaves = _Leaves()
    for place, (path, leaf) in enumerate(paths):
        _sort_leaf(leaves, place, path, leaf, arguments)
    modules = Modules(leaves.modules)
    count = len(leaves.arrays)
    for (path, array), origin in zip(modules.arrays(), modules.origins(), strict=True):
        leaves.arrays.append(array)
        leaves.inputs.append(Input(path_name(path), origin))

    def run(arrays: Sequence[Any]) -> tuple[Any, Any]:
        merged = modules.merged(arrays[count:])
        full = list(leaves.static)
        for place, number in leaves.array_places:
            full[place] = arrays[number]
        for place, module in zip(leaves.module_places, merged, strict=True):
            full[place] = module
        rebuilt = jax.tree.unflatten(structure, full)
        keep_order(tree, rebuilt)
        held, own_args, own_kwargs = rebuilt
        output = target.call(held, own_args, own_kwargs)
        output, own = (output, None) if target.update is None else output
        return output, (modules.changes(merged), own)

    orders = tuple(tuple(mapping) for mapping in mappings(tree))
    key = _key(target, (structure, orders), leaves, modules)
    return Call(target, leaves.arrays, leaves.inputs, run, key, modules, leaves.held)


def _sort_leaf(leaves: _Leaves, place: int, path: Path, leaf: Any, arguments: Mapping[Any, Input]) -> None:
    leaves.static.append(None)
    if is_nnx_module(leaf):
        leaves.modules.append(leaf)
        leaves.module_places.append(place)
    elif path[0].idx == 0 and stays_numpy(leaf):
        leaves.static[-1] = leaf
        if leaf.ndim:
            leaves.held.append((leaf, _input(path, leaf, arguments)))
    elif is_array(leaf):
        leaves.array_places.append((place, leaves.add(leaf, _input(path, leaf, arguments))))
    else:
        leaves.static[-1] = leaf


def _input(path: Path, leaf: Any, arguments: Mapping[Any, Input]) -> Input:
    """Name and origin of an array at this path of (held, args, kwargs)."""
    own, rest = path[0].idx == 0, path[1:]
    argument = arguments[None if own else (path[0].idx, key_name(rest[0]))]
    within = rest if own else rest[1:]
    origin = argument.origin
    if _is_random_key(leaf):
        origin = "constant"
    elif own and argument.name and len(within) == 1 and key_name(within[0]) in _DATA - _VECTORS:
        origin = "data"  # an input that the function closes over
    elif origin == "parameter" and {key_name(key) for key in within} & _CACHES:
        origin = "state"
    name = path_name(within)
    # Parameters go by their own path, as the model knows them, unless that is but a number.
    if not own and (origin != "parameter" or name.partition("/")[0].isdigit() or not name):
        name = f"{argument.name}/{name}".strip("/")
    return Input(_without_prefix(name) if origin == "parameter" else name, origin)


def _without_prefix(name: str) -> str:
    """The path without what only says that these are parameters: ``variables/params/encoder`` is ``encoder``."""
    first, _, rest = name.partition("/")
    named = first in _PARAMETERS and rest and not rest.partition("/")[0].isdigit()
    return _without_prefix(rest) if named else name


def _is_random_key(leaf: Any) -> bool:
    return bool(jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _arguments(model: Any, target: Target, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[Any, Input]:
    """Name and origin of each argument, by (1, place) or (2, keyword); what the model itself holds is at None."""
    names = argument_names(model, len(args))
    found: dict[Any, Input] = {None: Input("closure" if isinstance(target.held, Ordered) else "", "parameter")}
    learned = target.learned
    given = [((1, str(place)), names[place], value) for place, value in enumerate(args)]
    given += [((2, name), name, value) for name, value in kwargs.items()]
    for top, name, value in given:
        origin = _origin(name, value, learned)
        # Of trees that nobody named, only the first is taken for the parameters.
        learned = learned or (origin == "parameter" and not hasattr(value, "shape"))
        found[top] = Input(name, origin)
    return found


def _origin(name: str, value: Any, learned: bool) -> Origin:
    if type(value).__module__.startswith(_MODULE_LIBRARIES) and holds_arrays(value):
        return "parameter"
    if name in _CACHES:
        return "state"
    if hasattr(value, "shape"):
        return "parameter" if name in _PARAMETERS - {"state"} else "data"
    if name in _DATA or (learned and name not in _PARAMETERS) or not holds_arrays(value):
        return "data"
    if name in _PARAMETERS:
        return "parameter"
    return "data" if _has_tokens(value) else "parameter"


def _has_tokens(tree: Any) -> bool:
    """Whether a tree holds whole numbers with axes, as token ids are; parameters are not."""
    return any(
        is_array(leaf) and leaf.ndim > 0 and jax.numpy.issubdtype(leaf.dtype, jax.numpy.integer)
        for leaf in jax.tree.leaves(tree, is_leaf=is_nnx_module)
    )


def _key(target: Target, structure: Any, leaves: _Leaves, modules: Modules) -> Any:
    """What a compiled program depends on; None when something in it has no hash."""
    types = tuple(jax.typeof(array) for array in leaves.arrays)
    static = tuple(key_of(leaf) for leaf in leaves.static)
    given = (tuple(leaves.inputs), tuple(leaves.array_places))
    settings = tuple(getattr(jax.config, name) for name in _SETTINGS)
    key = (target.identity, structure, static, types, given, modules.structure, settings)
    try:
        hash(key)
    except TypeError:
        return None
    return key
