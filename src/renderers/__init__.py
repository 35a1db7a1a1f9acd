"""Renderers: one file each."""

from attncore.api import renderers
from attncore.callable_module import make_callable

# Importing this package binds it to the name of the function: calling either is the same.
make_callable(__name__, renderers)
