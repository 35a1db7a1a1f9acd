"""JAX on the CPU, and a small model with its weights in numpy for every test."""

from __future__ import annotations

import os

# Before JAX is imported: an accelerator would round differently, and is no part of these tests.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
