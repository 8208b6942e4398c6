"""Random programs of actions, closed books, pruning, redaction and readers, against a plain model."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from act_fast import Act, Committed, PrunedError, StoreLockedError
from tests.support.bank import Account, Deposited

STREAMS = some.sampled_from(["a-1", "a-2"])


class KeepingLess(RuleBasedStateMachine):
    """The model keeps, for each stream, the state after each version, and which versions were emptied how."""

    def __init__(self) -> None:
        super().__init__()
        self.app = Act("memory:", Account)
        self.seen: list[int] = []
        self.app.on(Deposited, to="all")(self._see)
        self.balances: dict[str, list[int]] = {"a-1": [], "a-2": []}
        self.amounts: dict[str, list[int | None]] = {"a-1": [], "a-2": []}
        self.restarts: dict[str, int] = {"a-1": 0, "a-2": 0}
        self.pruned: dict[str, int] = {"a-1": 0, "a-2": 0}
        self.positions: dict[int, tuple[str, int]] = {}
        self.expected: list[int] = []
        self.settled = True

    def _see(self, event: Committed[Deposited]) -> None:
        self.seen.append(event.position)

    def _took(self, stream: str, balance: int, amount: int | None) -> None:
        self.balances[stream].append(balance)
        self.amounts[stream].append(amount)
        self.positions[self.app.store.head] = (stream, len(self.balances[stream]))

    @rule(stream=STREAMS, amount=some.integers(1, 9))
    def deposit(self, stream: str, amount: int) -> None:
        balance = self.app.do(Account.deposit, stream, amount=amount).state.balance
        before = self.balances[stream][-1] if self.balances[stream] else 0
        assert balance == before + amount
        self._took(stream, balance, amount)
        self.expected.append(self.app.store.head)
        self.settled = False

    @rule(stream=STREAMS, keep=some.booleans())
    def restart(self, stream: str, keep: bool) -> None:
        if not self.balances[stream]:
            return
        carry = None if keep else (lambda state: Account(balance=state.balance + 100))
        state = self.app.restart_stream(Account, stream, carry=carry).state
        assert state.balance == self.balances[stream][-1] + (0 if keep else 100)
        self._took(stream, state.balance, None)
        self.restarts[stream] = len(self.balances[stream])
        self.settled = False

    @rule(stream=STREAMS)
    def snapshot(self, stream: str) -> None:
        if self.balances[stream]:
            self.app.snapshot(Account, stream)

    @rule()
    def settle(self) -> None:
        self.app.settle()
        assert self.seen == self.expected
        self.settled = True

    @rule()
    def prune(self) -> None:
        below = {stream: version - 1 for stream, version in self.restarts.items() if version}
        there = sum(max(upto - self.pruned[stream], 0) for stream, upto in below.items())
        assert self.app.prune(dry_run=True).events == there
        try:
            assert self.app.prune().events == there
        except StoreLockedError:
            assert not self.settled
            return
        for stream, upto in below.items():
            self.pruned[stream] = max(self.pruned[stream], upto)

    @rule(data=some.data())
    def redact(self, data: Any) -> None:
        """Another amount for an event above the last closing: every later state changes with it."""
        known = [
            (position, stream, version)
            for position, (stream, version) in self.positions.items()
            if version > self.restarts[stream] and self.amounts[stream][version - 1] is not None
        ]
        if not known:
            return
        position, stream, version = data.draw(some.sampled_from(known))
        drop = data.draw(some.booleans())
        old = self.amounts[stream][version - 1] or 0
        done = self.app.redact([position], reason="r", **({"drop": True} if drop else {"fields": {"amount": 0}}))
        assert done.positions in ([position], [])
        self.balances[stream][version - 1 :] = [each - old for each in self.balances[stream][version - 1 :]]
        self.amounts[stream][version - 1] = 0
        if drop and position in self.expected and position not in self.seen:
            self.expected.remove(position)

    @rule(again=some.booleans())
    def another_app(self, again: bool) -> None:
        """Without the cache all is the same."""
        other = Act(self.app.store, Account)
        for stream, balances in self.balances.items():
            if balances:
                assert other.load(Account, stream).state.balance == balances[-1]

    @invariant()
    def states_are_those_of_the_model(self) -> None:
        replayed = {stream: found.state.balance for stream, found in self.app.replay(Account)}
        assert replayed == {stream: balances[-1] for stream, balances in self.balances.items() if balances}
        for stream, balances in self.balances.items():
            first = self.pruned[stream]
            found = [step.state.balance for step in self.app.history(Account, stream)]
            assert found == balances[first:]
            for version in range(1, len(balances) + 1):
                if version <= first:
                    with pytest.raises(PrunedError) as error:
                        self.app.load(Account, stream, before=version + 1)
                    assert error.value.begins == first + 1
                else:
                    state = self.app.load(Account, stream, before=version + 1).state
                    assert state.balance == balances[version - 1]

    def teardown(self) -> None:
        self.app.close()


KeepingLess.TestCase.settings = settings(max_examples=8, stateful_step_count=15, deadline=None)
TestKeepingLess = KeepingLess.TestCase
