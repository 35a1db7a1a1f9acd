"""What ran and is not in the trace, or not with certainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from attncore.coverage import Coverage, CoverageEntry
from attncore.dataflow import Node, Opaque
from attncore.dataflow_names import site_name

from ._jax_arrays import to_array
from ._jax_plan import is_scattered
from ._jax_unroll import Instance, Unrolled

_HIDDEN = (
    "a fused kernel, outside of which its weights never exist; to see them, run the model with attention in plain JAX, "
    'such as jax.nn.dot_product_attention(..., implementation="xla")'
)
_SCATTERED = "each device holds a block of positions (sequence parallelism), and the blocks are not put together"
_UNSURE_AXES = "nothing tells heads from batch items here; the last of several axes was taken for the heads"
_UNSURE_ROWS = "its rows do not sum to 1 and nothing was seen that explains it"


def coverage_of(unrolled: Sequence[Unrolled]) -> Coverage:
    """Opaque kernels, what looked like attention and is something else, and what was captured with a doubt."""
    entries: dict[tuple[str, ...], CoverageEntry] = {}
    for one in unrolled:
        for entry in (*_left_out(one), *_doubtful(one)):
            key = (entry.name, entry.what, entry.reason)
            count = 1 + (entries[key].count if key in entries else 0)
            entries[key] = CoverageEntry(entry.name, entry.what, entry.status, entry.reason, entry.shape, count)
    return Coverage(tuple(entries.values()))


def _left_out(one: Unrolled) -> Iterator[CoverageEntry]:
    """Kernels, rejections, and attention that is divided among devices along the positions."""
    findings, label = one.recorded.traced.findings, one.recorded.label
    for opaque in findings.opaque:
        yield CoverageEntry(opaque.node.scope or label, _what(opaque.node), "opaque", _HIDDEN, _shape(opaque.node))
    for site in findings.sites:
        if is_scattered(one.recorded.traced, site):
            name = site_name(site, label)
            yield CoverageEntry(name, "attention", "rejected", _SCATTERED, _shape(site.product))
    for rejection in findings.rejected:
        node = rejection.node
        yield CoverageEntry(node.scope or label, _what(node), "rejected", rejection.reason, _shape(node))


def _doubtful(one: Unrolled) -> Iterator[CoverageEntry]:
    """What was captured, and may mean something else."""
    for plan, reason in one.uncertain:
        name = site_name(plan.site, one.recorded.label)
        yield CoverageEntry(name, "attention", "uncertain", reason, _shape(plan.site.product))
    for instance in one.instances:
        site = instance.plan.site
        name = site_name(site, one.recorded.label)
        if site.roles_from == "unknown":
            yield CoverageEntry(name, "attention", "uncertain", _UNSURE_AXES, _shape(site.product))
        if not site.notes and not _sums_to_one(one, instance):
            yield CoverageEntry(name, "attention", "uncertain", _UNSURE_ROWS, _shape(site.product))


def _sums_to_one(one: Unrolled, instance: Instance) -> bool:
    """Whether rows are probabilities, as far as one head of one item shows; masked rows are 0, or not a number."""
    weights = one.array(instance, "weights")
    if weights is None:
        return True
    rows = np.asarray(to_array(weights)[0, 0], dtype=np.float64).sum(axis=-1)
    return bool((np.isnan(rows) | (np.abs(rows - 1) < 2e-2) | (rows == 0)).all())


def _what(node: Node) -> str:
    return node.operation.name if isinstance(node.operation, Opaque) else type(node.operation).__name__.lower()


def _shape(node: Node) -> tuple[int, ...] | None:
    shape = node.outputs[0].shape if node.outputs else ()
    return tuple(length or 0 for length in shape) or None
