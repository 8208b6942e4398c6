"""For tests of programs that use act-fast: decisions without a store, and apps in memory."""

from act_fast.testing._scenario import Given, When, given

__all__ = ["Given", "When", "given"]
