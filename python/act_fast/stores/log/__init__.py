"""The embedded store: the append log on disk or in memory."""
