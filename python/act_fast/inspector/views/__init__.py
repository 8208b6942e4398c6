"""The views of the inspector, each a function from what was asked for to a page."""
