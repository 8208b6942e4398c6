"""How the command writes: rows, tables, progress, words."""
