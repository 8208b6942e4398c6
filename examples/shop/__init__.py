"""A shop with something to look at: orders, payments and parcels, and a mail that cannot be sent.

`python -m examples.shop` writes a day of it into a store; `act-fast inspect examples.shop.app:app` shows it.
"""
