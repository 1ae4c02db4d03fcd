"""The command line. Exit 0 when it worked, 1 when it failed, 2 when it was called wrongly."""

from hookline.cli.app import main

__all__ = ["main"]
