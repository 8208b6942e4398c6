"""How fast the store is, beside its peers, in the same run: `python -m bench` measures and writes RESULTS.md."""
