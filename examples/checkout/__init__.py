"""A checkout: seats are held for as long as the buyer may take, and every step has a way back.

Run it with `python -m examples.checkout`. `order.py` and `seat.py` are what there is, `process.py` is what follows from
what: holding, paying in time or not, tickets that are issued or refused, refunds, and a report each night.
"""
