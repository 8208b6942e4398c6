"""Reactions: handling, claiming, correlating."""
