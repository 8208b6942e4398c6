"""Which engines are too heavy to be brought and started on every run of the tests."""

import os

import pytest

ALL = os.environ.get("ACT_FAST_ENGINES_TESTED") == "all"

heavy = pytest.mark.skipif(not ALL, reason="takes minutes to bring; ACT_FAST_ENGINES_TESTED=all runs it")
