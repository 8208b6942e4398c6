"""A small bank: accounts, rules that cannot be broken, and transfers that happen completely or not at all.

Run it with `python -m examples.bank`. `account.py` is one state with its events; `transfer.py` is a decision about two
streams at once, which is more than an action can take, and goes to the store as one commit.
"""
