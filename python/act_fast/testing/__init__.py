"""For tests of programs that use act-fast: decisions without a store, and apps in memory."""

from act_fast.testing.scenario import Given, When, given

__all__ = ["Given", "When", "given"]
