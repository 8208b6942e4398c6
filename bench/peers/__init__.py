"""Who we are measured against: LMDB, bare SQLite, `eventsourcing` and the bare disk.

Each peer is set up in the way that is fastest for the durability named beside it, and what it is spared is on its side:
LMDB and the disk check no version and know neither streams nor event names.
"""
