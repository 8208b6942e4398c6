"""Ourselves: the store as its users drive it, and processes around a store."""
