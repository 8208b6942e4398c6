"""A transfer: two accounts change, or none. One commit holds both halves, each guarded by the version it rests on."""

from act_fast import (
    Act,
    ActionCause,
    Actor,
    Append,
    Causation,
    ConcurrencyError,
    InvariantError,
    Meta,
    Snapshot,
    ValidationError,
)
from examples.bank.account import Account

__all__ = ["transfer"]

ATTEMPTS_MAX = 100


def transfer(app: Act, source: str, target: str, cents: int, *, reference: str, actor: Actor | None = None) -> None:
    """Move money from one account to another.

    Args:
        app: an app with `Account`.
        source: the stream of the account that pays.
        target: the stream of the account that is paid.
        cents: how much.
        reference: what both halves can be found by, with `app.query(correlation=reference)`.
        actor: who wants it.

    Raises:
        ValidationError: it is no amount, or the accounts are one and the same.
        InvariantError: one of the accounts is not open.
        OverdrawnError: there is not enough money.
        ConcurrencyError: others were faster each time.
    """
    if cents < 1 or source == target:
        raise ValidationError("a transfer is of one cent at least, and between two accounts")
    cause = Meta(reference, Causation(ActionCause("transfer", source, actor)))
    for attempts_left in reversed(range(ATTEMPTS_MAX)):
        both = _decide(app.load(Account, source), app.load(Account, target), cents)
        try:
            app.store.append_many(both, meta=cause)
        except ConcurrencyError:
            if not attempts_left:
                raise
        else:
            return


def _decide(payer: Snapshot[Account], payee: Snapshot[Account], cents: int) -> list[Append]:
    # No action runs here, so nobody but us looks at the rules.
    for account in (payer, payee):
        if not account.state.is_open():
            raise InvariantError("transfer", account.stream, Account.is_open.description, account.version)
    return [
        Append(payer.stream, [payer.state.send(cents, payee.stream)], payer.version),
        Append(payee.stream, [payee.state.receive(cents, payer.stream)], payee.version),
    ]
