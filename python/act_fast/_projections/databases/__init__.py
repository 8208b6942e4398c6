"""The databases that projections write to: a module for each way to connect, and one for each way to write SQL."""
