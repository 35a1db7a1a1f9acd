"""What a graph's findings say of attention that is not in the trace, or not with certainty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from attncore.arrays import ArrayLike, as_numpy
from attncore.coverage import Coverage, CoverageEntry, Status
from attncore.dataflow import Node, Opaque
from attncore.dataflow_happened import Happened
from attncore.dataflow_names import site_name
from attncore.dataflow_sites import Findings, Site

_UNSURE_AXES = "nothing tells heads from batch items or positions here; they were taken for what they mostly are"
_UNSURE_ROWS = "its rows do not sum to 1 and nothing was seen that explains it"


def coverage_of(
    findings: Findings,
    happened: Iterable[Happened],
    label: str,
    *,
    hidden: str,
    readable: Callable[[Any], ArrayLike],
    left_out: Iterable[tuple[Site, str]] = (),
    uncertain: Iterable[tuple[Site, str]] = (),
) -> Coverage:
    """Opaque kernels, what looked like attention and is something else, and what was captured with a doubt.

    Args:
        findings: of the graph that ran.
        happened: each attention that happened in it.
        label: the name of the function, for what has no name of its own.
        hidden: what to say of a kernel that hides its weights.
        readable: gives a framework's array as one of which a part can be read.
        left_out: attention that was found and is not in the trace, each with the reason.
        uncertain: attention that was captured, each with a doubt.
    """
    entries = [
        CoverageEntry(one.node.scope or label, _what(one.node), "opaque", hidden, _shape(one.node))
        for one in findings.opaque
    ]
    marked: tuple[tuple[Status, Iterable[tuple[Site, str]]], ...] = (("rejected", left_out), ("uncertain", uncertain))
    for status, several in marked:
        for site, reason in several:
            name = site_name(site, label)
            entries.append(CoverageEntry(name, "attention", status, reason, _shape(site.product)))
    for rejection in findings.rejected:
        node = rejection.node
        entries.append(CoverageEntry(node.scope or label, _what(node), "rejected", rejection.reason, _shape(node)))
    entries += [entry for one in happened for entry in _doubts(one, label, readable)]
    return Coverage(tuple(entries))


def _doubts(one: Happened, label: str, readable: Callable[[Any], ArrayLike]) -> Iterator[CoverageEntry]:
    """What may mean something else than the trace says."""
    site = one.site
    name = site_name(site, label)
    if site.roles_from == "unknown":
        yield CoverageEntry(name, "attention", "uncertain", _UNSURE_AXES, _shape(site.product))
    if not site.notes and not _sums_to_one(one, readable):
        yield CoverageEntry(name, "attention", "uncertain", _UNSURE_ROWS, _shape(site.product))


def _sums_to_one(one: Happened, readable: Callable[[Any], ArrayLike]) -> bool:
    """Whether rows are probabilities, as far as one head of one item shows; masked rows are 0, or not a number."""
    weights = one.read("weights")
    if weights is None:
        return True
    rows = as_numpy(readable(weights)[0, 0]).astype(np.float64).sum(axis=-1)
    return bool((np.isnan(rows) | (np.abs(rows - 1) < 2e-2) | (rows == 0)).all())


def _what(node: Node) -> str:
    return node.operation.name if isinstance(node.operation, Opaque) else type(node.operation).__name__.lower()


def _shape(node: Node) -> tuple[int, ...] | None:
    shape = node.outputs[0].shape if node.outputs else ()
    return tuple(length or 0 for length in shape) or None
