"""Who we are measured against, each in the way that is fastest for the durability named beside it.

What a peer is spared is on its side: LMDB and the disk check no version and know neither streams nor event names.
No peer has to be installed: see `absence.py`.
"""
