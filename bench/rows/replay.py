"""Replay: folding every stream of a store."""
