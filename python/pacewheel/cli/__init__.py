"""The command line: one module a command, no logic of the engine.

`main` is the entry point of the `pacewheel` program. Importing this package is cheap: what a
command needs is imported when that command runs.
"""

from pacewheel.cli.app import main

__all__ = ["main"]
