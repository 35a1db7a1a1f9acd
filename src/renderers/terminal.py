"""The terminal renderer (placeholder while the rest is wired up)."""
