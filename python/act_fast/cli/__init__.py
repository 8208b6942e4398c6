"""The `act-fast` command: look into a store from a shell."""

from act_fast.cli.main import main

__all__ = ["main"]
