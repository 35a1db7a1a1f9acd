"""``python -m attncore`` is the command ``attncore``."""

from attncore.cli import main

main()
