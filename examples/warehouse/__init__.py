"""A warehouse: many want the last items at once, and no one gets an item that is not there.

Run it with `python -m examples.warehouse`. `item.py` is what is on the shelf, `rush.py` lets threads of several
processes fight over it, and `order.py` with `fulfil.py` is a process over several streams: an order gets all of its
items or gives back those that it had, whatever happens in between.
"""
