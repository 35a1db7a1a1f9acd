"""Backends: one file per framework, with flat siblings whose names begin with an underscore."""
