"""What is hot, compressed, archived, pruned and sealed: known from the store alone, also while its archive is away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, ArchiveUnavailableError, State
from act_fast.monitoring import look, metrics_text
from tests.monitoring.test_prometheus import read
from tests.support.aged import Member, aged

pytest.importorskip("cryptography", reason="sealing is not installed")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Act]:
    """The app of a store whose archive is away."""
    with aged(tmp_path) as app:
        keys = app._engine.vault.keys if app._engine.vault else None
        (tmp_path / "cold").rename(tmp_path / "away")
    with Act(tmp_path / "shop.act", Member, keys=keys) as again:
        yield again


def test_events_and_bytes_are_known_in_each_form(app: Act, tmp_path: Path) -> None:
    stats = app.store.stats()
    assert stats.shares is not None
    hot, compressed, archived = stats.shares.hot, stats.shares.compressed, stats.shares.archived
    assert [share.events for share in (hot, compressed, archived)] == [6, 10, 33]
    assert (stats.events, stats.segments) == (49, hot.segments + compressed.segments + archived.segments)
    assert (stats.compressed, stats.archived) == (compressed.segments, archived.segments) == (1, 1)
    assert hot.here >= hot.written > 0 == hot.there
    assert 0 < compressed.here < compressed.written
    assert compressed.there == 0 < archived.there < archived.written
    assert archived.there == sum(each.stat().st_size for each in (tmp_path / "away").rglob("*.seg"))
    assert stats.archive == str(tmp_path / "cold")


def test_what_was_pruned_redacted_sealed_and_forgotten_is_counted(app: Act) -> None:
    stats = app.store.stats()
    assert (stats.pruned, stats.redacted) == (11, 1)
    assert stats.pruned_bytes > 11 * len('{"cents":1}') - len('"pruned"')
    found = look(app).kept
    assert found is not None
    assert (found.sealed, found.forgotten) == (3, 1)
    of_path = look(app.store).kept
    assert of_path is not None
    assert (of_path.sealed, of_path.forgotten) == (None, 1)


def test_nothing_of_it_needs_the_archive(app: Act) -> None:
    with pytest.raises(ArchiveUnavailableError):
        next(app.store.load("member-0"))
    assert [each.stream for each in app.store.streams()][:3] == ["member-0", "member-1", "member-2"]
    last = app.store.query(limit=1, backwards=True)
    assert app.store.stats().last_created == next(last).created


def test_metrics_have_them_by_form(app: Act) -> None:
    found = read(metrics_text(app))
    assert [found["act_fast_log_events", form] for form in ("hot", "compressed", "archived")] == [6, 10, 33]
    assert found["act_fast_log_here_bytes", "compressed"] < found["act_fast_log_written_bytes", "compressed"]
    assert found["act_fast_archive_bytes",] > 0
    assert (found["act_fast_pruned_events",], found["act_fast_redacted_events",]) == (11, 1)
    assert (found["act_fast_sealed_events",], found["act_fast_forgotten_subjects",]) == (3, 1)
    assert ("act_fast_sealed_events",) not in read(metrics_text(app.store))


def test_a_store_in_memory_has_all_of_its_log_hot() -> None:
    class Empty(State):
        """Nothing."""

    with Act("memory:", Empty) as app:
        assert app.store.stats().last_created is None
        app.store.append("s-1", [("Noted", b"{}")])
        found: Any = app.store.stats().shares
        assert (found.hot.events, found.compressed.events, found.archived.events) == (1, 0, 0)
