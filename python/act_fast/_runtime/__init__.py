"""Threads, event loops, waits, the logger and observers. Knows nothing of events."""
