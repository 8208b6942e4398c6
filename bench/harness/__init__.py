"""How a benchmark is run, judged and written down; knows nothing of what is measured."""
