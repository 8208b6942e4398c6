"""Totally ordered, durable logs of byte records, kept by an engine that others run. Each adapter has a module."""
