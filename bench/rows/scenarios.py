"""Scenarios: realistic wholes."""
