"""What one call gave, before it becomes layers of the trace."""

from __future__ import annotations

from dataclasses import dataclass

from attncore.dataflow_tokens import Data

from ._jax_plan import SitePlan
from ._jax_run import Found, Runner
from ._jax_trace import Traced


@dataclass(eq=False)
class Recorded:
    """What one call gave: ``found`` by the keys of the plans; ``data`` are the arrays that are no parameters."""

    traced: Traced
    plans: list[SitePlan]
    found: Found
    runner: Runner
    data: Data
    label: str
