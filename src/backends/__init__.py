"""Backends: one file per framework, with flat siblings whose names begin with an underscore."""

from attncore.api import backends
from attncore.callable_module import make_callable

# Importing this package binds it to the name of the function: calling either is the same.
make_callable(__name__, backends)
