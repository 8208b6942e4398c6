"""The regression guard: counts that hold still on any machine, held against `baseline.json`. Nothing here takes time.

Instructions of the core (by valgrind, where it is installed), bytecodes of the Python face, bytes of the log.
"""
