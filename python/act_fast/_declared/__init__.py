"""Declared fields: from `total(Deposited.amount)` to what keeps it up to date."""
