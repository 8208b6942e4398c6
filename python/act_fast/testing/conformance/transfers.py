"""Copying: all that a store holds, out and in as it stands."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from act_fast._events.meta import Meta
from act_fast._rows import CommitRow
from act_fast.errors import ActError
from act_fast.stores.capabilities import Transfer, transfer_of
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, numbers, pair, pairs, positions, versions

__all__ = ["Transfers"]

COMMITS = 40


def _fill(store: Store) -> None:
    """Commits of one event and of many, of one stream and of several, with meta and without."""
    for number in range(COMMITS):
        meta = Meta(correlation=f"c-{number % 7} ä", extra={"n": number}) if number % 3 else None
        several = [Append(f"s-{number % 5}", pairs(number % 4 + 1)), Append("all", [("Noted", b'{ "a" : "\\u0000" }')])]
        store.append_many([*several, Append(f"s-{number % 5}", [pair(number, "Other")])], meta=meta)


def _all_of(transfer: Transfer) -> list[CommitRow]:
    head, _ = transfer.standing(0)
    return [row for page in transfer.commits(0, head) for row in page]


class Transfers(Cases):
    """What a store's `transfer()` promises, with a log in memory on the other side."""

    @pytest.fixture
    def log(self) -> Iterator[LogStore]:
        """A log in memory that holds some commits."""
        with LogStore.memory() as log:
            _fill(log)
            yield log

    @pytest.fixture
    def transfer(self, store: Store) -> Transfer:
        """How the store is copied."""
        self.needs("transfer")
        return transfer_of(store)

    def _take(self, transfer: Transfer, *pages: list[CommitRow]) -> None:
        with transfer.taking() as take:
            for page in pages:
                take(page)

    def test_what_comes_out_is_what_was_appended_commit_by_commit(self, store: Store, transfer: Transfer) -> None:
        _fill(store)
        rows = _all_of(transfer)
        assert [(row[0], row[2], row[3], row[4], row[6]) for row in rows] == [
            (event.position, event.stream, event.version, event.name, event.data) for event in store.query()
        ]
        firsts = [row[1] for row in rows if row[0] == row[1]]
        assert len(firsts) == COMMITS
        for row in rows:
            assert row[1] == max(first for first in firsts if first <= row[0])
        assert {row[5] for row in rows if row[1] == firsts[3]} == {rows[firsts[3] - 1][5]}

    def test_a_page_ends_with_a_commit(self, store: Store, transfer: Transfer) -> None:
        for stream in ("a", "b", "c"):
            store.append(stream, pairs(9_000))
        pages = list(transfer.commits(0, store.head))
        assert [row[0] for page in pages for row in page] == list(range(1, 27_001))
        assert len(pages) > 1
        assert all(one[-1][1] != other[0][1] for one, other in pairwise(pages))

    def test_only_what_is_between_the_bounds_comes_out(self, store: Store, transfer: Transfer) -> None:
        for number in range(1, 8):
            store.append("a", [pair(number)])
        for after, upto in ((0, 7), (2, 5), (6, 7), (7, 7), (3, 2), (0, 0), (6, 100)):
            found = [row[0] for page in transfer.commits(after, upto) for row in page]
            assert found == [position for position in range(1, 8) if after < position <= upto]

    def test_what_a_log_holds_goes_in_as_it_stands(self, store: Store, transfer: Transfer, log: LogStore) -> None:
        self._take(transfer, *transfer_of(log).commits(0, log.head))
        assert _all_of(transfer) == _all_of(transfer_of(log))
        assert list(store.query()) == list(log.query())
        assert list(store.streams()) == list(log.streams())
        assert store.names() == log.names()
        assert list(store.query(correlation="c-4 ä")) == list(log.query(correlation="c-4 ä")) != []
        assert store.verify().problems == []

    def test_what_comes_later_goes_in_behind_it(self, store: Store, transfer: Transfer, log: LogStore) -> None:
        for _ in range(3):
            self._take(transfer, *transfer_of(log).commits(store.head, log.head))
            assert _all_of(transfer) == _all_of(transfer_of(log))
            _fill(log)
        assert store.verify().problems == []

    def test_appends_go_on_behind_what_was_copied(self, store: Store, transfer: Transfer, log: LogStore) -> None:
        self._take(transfer, *transfer_of(log).commits(0, log.head))
        version = log.version("s-1")
        appended = store.append("s-1", [pair(77)], expected_version=version)
        assert (appended.first_version, appended.first_position) == (version + 1, log.head + 1)
        [last] = store.query(backwards=True, limit=1)
        assert numbers([last]) == [77]
        assert last.created >= next(log.query(backwards=True, limit=1)).created
        assert versions(store.load("s-1")) == list(range(1, version + 2))

    def test_what_does_not_go_on_where_the_store_ends_is_refused(
        self, store: Store, transfer: Transfer, log: LogStore
    ) -> None:
        first, *_ = rows = _all_of(transfer_of(log))
        end = next(at for at, row in enumerate(rows) if row[1] != 1)
        behind = [row for row in rows if row[1] == rows[end][1]]
        early = [(*row[:5], first[5] - 1, *row[6:]) for row in behind]
        skipped = [(*row[:3], row[3] + 1, *row[4:]) for row in rows[:end]]
        for wrong in (behind, skipped):
            with pytest.raises(ActError):
                self._take(transfer, wrong)
            assert (store.head, list(store.streams())) == (0, [])
        self._take(transfer, rows[:end])
        for wrong in (rows[:end], early):
            with pytest.raises(ActError):
                self._take(transfer, wrong)
            assert positions(store.query()) == list(range(1, end + 1))
        self._take(transfer, behind)
        assert store.verify().problems == []

    def test_taking_nothing_is_no_harm(self, store: Store, transfer: Transfer) -> None:
        self._take(transfer)
        assert store.head == 0
        store.append("a", [pair(1)])
        self._take(transfer)
        assert store.append("a", [pair(2)]).first_position == 2

    def test_the_standing_is_the_head_and_one_event(self, store: Store, transfer: Transfer) -> None:
        assert transfer.standing(0) == transfer.standing(1) == (0, None)
        _fill(store)
        rows = _all_of(transfer)
        for position in (1, 17, len(rows)):
            assert transfer.standing(position) == (len(rows), rows[position - 1])
        for position in (0, len(rows) + 1, 2**62):
            assert transfer.standing(position) == (len(rows), None)

    def test_snapshots_go_out_and_in(self, store: Store, transfer: Transfer, log: LogStore) -> None:
        self._take(transfer, *transfer_of(log).commits(0, log.head))
        kept = [("s-0", 1, b"one"), ("s-0", 3, b"\0\xff"), ("all", 40, b""), ("s-3", 2, b"x" * 100_000)]
        for stream, version, data in kept:
            log.save_snapshot(stream, version, data)
        store.save_snapshot("s-0", 1, b"another")
        found = list(transfer_of(log).snapshots())
        assert sorted(found) == sorted(kept)
        for _ in range(2):
            transfer.take_snapshots(found)
            assert list(transfer.snapshots()) == found
        latest = store.latest_snapshot("s-0")
        assert latest is not None
        assert (latest.version, latest.data) == (3, b"\0\xff")
        transfer.take_snapshots([])

    def test_a_store_tells_itself_from_others(self, store: Store, transfer: Transfer, log: LogStore) -> None:
        assert transfer.store_id
        assert transfer.store_id == transfer_of(store).store_id != transfer_of(log).store_id
