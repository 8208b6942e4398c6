"""A question about a few events is answered from the index of the log, whatever was written down, and rightly."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from act_fast import Act, LogStore, connect
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from act_fast._sql.parts.manifest import FOLDER
from act_fast.errors import ArchiveUnavailableError, ValidationError
from act_fast.stores.archive_away import archive_away
from tests.support.bank import Account

STREAMS, COMMITS = 200, 2000


def fill(store: LogStore) -> None:
    for number in range(COMMITS):
        events = [("Deposited", b'{"amount":%d}' % number), ("Withdrawn", b'{"amount":1}')]
        store.append(f"account-{number % STREAMS}", events)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Act]:
    """An app whose events are all written down."""
    with (
        pytest.MonkeyPatch.context() as patched,
        LogStore(tmp_path_factory.mktemp("needles") / "store", durability="os") as store,
        Act(store, Account) as opened,
    ):
        patched.setattr(background, "PART_EVENTS", 100)
        fill(store)
        for relation in ("events", "deposited", "account"):
            opened.sql(f"select count(*) from {relation}").fetchall()
        assert builds.wait()
        yield opened


def is_found(app: Act, query: str, **params: Any) -> bool:
    """Whether it is read from the log and not from what was written down."""
    return "settled" not in app.sql(query, **params).explain()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select count(*) from events where stream = 'account-7'", 20),
        ("select count(*) from events e where e.stream = 'account-7' and data->>'amount' <> '1'", 10),
        ("select count(*) from events where 'account-7' = stream", 20),
        ("select count(*) from events where stream in ('account-7')", 20),
        ("select count(*) from events where stream = 'nobody'", 0),
        ("select count(*) from events where position > 3900", 100),
        ("select count(*) from events where position between 11 and 20", 10),
        ("select count(*) from deposited where stream = 'account-7'", 10),
        ("select count(*) from deposited where position > 3900", 50),
        ("with few as (from events where stream = 'account-7') select count(*) from few", 20),
        ("select count(*) from (from events where stream = 'account-7' union all from events where position < 3)", 22),
        (
            "select count(*) from events e join deposited d using (position)"
            " where e.stream = 'account-7' and d.stream = 'account-7'",
            10,
        ),
        ("select balance from account where stream = 'account-7'", sum(range(7, COMMITS, STREAMS)) - 10),
    ],
)
def test_few_events_are_found_in_the_log(app: Act, query: str, rows: int) -> None:
    assert is_found(app, query)
    assert app.sql(query).fetchall() == [(rows,)]


@pytest.mark.parametrize(
    "query",
    [
        "select sum(version) from events where stream = 'account-7' or version > 3",
        "select count(*) from events where position > 10",
        "select count(*) from events where stream like 'account-7'",
        "select count(*) from (from events where stream = 'account-7' union all from events)",
        "select count(*) from events where position > (select min(position) from events)",
        "select sum(position) from events",
        "select count(*) from events where stream in ('account-7', 'account-8')",
        "select stream from deposited group by stream order by stream",
        "select position from events order by position limit 3",
    ],
)
def test_many_events_are_read_from_what_was_written_down(app: Act, query: str) -> None:
    assert not is_found(app, query)


@pytest.mark.parametrize(
    ("query", "positions"),
    [
        ("select position from events order by position desc limit 3", [4000, 3999, 3998]),
        ("select * from events e order by e.position desc limit 2", [4000, 3999]),
        ("from deposited order by position desc limit 2 offset 1", [3997, 3995]),
        ("select position from events where stream = 'account-7' order by position desc limit 2", [3616, 3615]),
        ("select position from events where name = 'Deposited' order by position desc limit 2", [3999, 3997]),
        ("select position from events where position < 100 order by position desc limit 2", [99, 98]),
        ("select position, data->>'amount' from events order by position desc, stream limit 1", [4000]),
        ("select position from events where stream = 'nobody' order by position desc limit 2", []),
    ],
)
def test_the_newest_are_found_in_the_log(app: Act, query: str, positions: list[int]) -> None:
    assert is_found(app, query)
    assert [row[0] for row in app.sql(query).fetchall()] == positions


def test_parameters_say_what_is_looked_for(app: Act) -> None:
    query = "select count(*) from events where stream = $stream and position > $after"
    assert is_found(app, query, stream="account-7", after=2000)
    assert app.sql(query, stream="account-7", after=2000).fetchall() == [(10,)]
    query = "select position from events order by position desc limit $most"
    assert is_found(app, query, most=2)
    assert app.sql(query, most=2).fetchall() == [(4000,), (3999,)]
    with pytest.raises(ValidationError):
        app.sql(query)


def test_columns_are_called_the_same(app: Act) -> None:
    query = "select position, data->>'amount', version + 1, name as \"as\" from events order by position desc limit 1"
    with connect(app) as connection:
        assert app.sql(query).columns == connection.sql(query).columns
        assert app.sql(query).types == connection.sql(query).types


def test_the_past_has_newest_events_too(app: Act) -> None:
    query = "select position from events order by position desc limit 2"
    assert app.sql(query, at=100).fetchall() == [(100,), (99,)]
    assert app.sql(query, at=1).fetchall() == [(1,)]
    assert app.sql(query, at=0).fetchall() == []
    assert app.sql("select count(*) from events where stream = 'account-7'", at=400).fetchall() == [(2,)]


def test_an_answer_has_the_whole_relations_beside_it(app: Act) -> None:
    found = app.sql("select position from events where stream = 'account-7'")
    assert found.query("found", "select (select count(*) from found), (select count(*) from events)").fetchall() == [
        (20, 2 * COMMITS)
    ]
    found = app.sql("select position from events order by position desc limit 2")
    assert found.query("found", "select (select count(*) from found), (select count(*) from events)").fetchall() == [
        (2, 2 * COMMITS)
    ]


def test_nothing_is_written_down_for_a_few_events(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 100)
    with LogStore(store_path, durability="os") as store, Act(store, Account) as app:
        fill(store)
        app.sql("select * from events where stream = 'account-7'").fetchall()
        app.sql("select * from events order by position desc limit 100").fetchall()
        app.sql("select * from account where stream = 'account-7'").fetchall()
        assert builds.wait()
        assert not (store_path / FOLDER).exists()


def test_no_more_is_read_than_is_asked_for(app: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[tuple[str, str, Any]]] = []
    read = LogScan.read

    def watched(scan: LogScan, columns: Any, conditions: Any) -> Any:
        found.append([tuple(each) for each in conditions])
        return read(scan, columns, conditions)

    monkeypatch.setattr(LogScan, "read", watched)
    app.sql("select position, stream from events order by position desc limit 100").fetchall()
    app.sql("select position, stream from events where stream = 'account-7'").fetchall()
    assert found == [[("position", ">=", 3901)], [("stream", "=", "account-7")]]


SELECTED = [
    "*",
    "count(*)",
    "max(position)",
    "max(position) as position",
    "position, stream",
    "upper(name) as stream, position",
    "1 as position",
    "position + 1 as position",
    "-position as position",
    "* replace (7 as position)",
    "* exclude (data)",
    "columns('p.*')",
    "{e}.position, {e}.stream",
    "data->>'amount' as amount, position",
    "unnest([1, 1]), position",
    "position, unnest(case when position % 2 = 0 then [] else [1] end)",
    "row_number() over (order by position) as number, position",
    "sum(version) over () as whole, position",
    "(select max(position) from events) as most, position",
    "distinct stream, 1 as position",
    "distinct on (stream) position",
]
TIED = {"1 as position", "* replace (7 as position)", "distinct stream, 1 as position"}
"""All rows have the same position: which ones are the first few is for DuckDB to choose."""
FROM = [
    ("events", "events"),
    ("events as e", "e"),
    ("events as deposited", "deposited"),
    ("deposited", "deposited"),
    ("events join deposited using (position)", "events"),
    ("events left join deposited d on events.position = d.position", "events"),
    ("(select * from events) as events", "events"),
    ("(select position, 'account-7' as stream, name, version, data from events) as e", "e"),
    ("events, (select 1 as one)", "events"),
    ("events tablesample 100%", "events"),
]
ATOMS = [
    "stream = 'account-7'",
    "'account-7' = stream",
    "{e}.stream = 'account-7'",
    "stream in ('account-7', 'account-8', 'nobody')",
    "stream like '%7'",
    "stream > 'account-7'",
    "position > 3990",
    "{e}.position >= 3980",
    "3970 < position",
    "position between 10 and 20",
    "position between 20 and 10",
    "position = 100",
    "position in (1, 2, 4000)",
    "position > $p",
    "position > -5",
    "position > 3990.5",
    "position > '3990'",
    "name = 'Deposited'",
    "version = 20",
    "data->>'amount' = '5'",
    "correlation is null",
    "correlation = 'none'",
    "true",
    "null",
]
TAILS = [
    "",
    "order by position desc limit 5",
    "order by position desc limit 5 offset 2",
    "order by position desc nulls first, 1 limit 3",
    "order by {e}.position desc limit 3",
    "order by position desc limit 0",
    "order by position desc limit 1 + 1",
    "order by position desc limit 1%",
    "order by position desc limit $most",
    "order by position limit 3",
    "order by -position limit 3",
    "order by position desc offset 3990",
    "qualify row_number() over (partition by stream order by position) = 1 order by position desc limit 3",
    "group by all order by position desc limit 3",
    "group by position order by position desc limit 3",
]
WHERE = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(" and ".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SELECTED), st.sampled_from(FROM), WHERE | st.none(), st.sampled_from(TAILS))
def test_what_is_found_is_what_is_there(
    app: Act, selected: str, table: tuple[str, str], where: str | None, tail: str
) -> None:
    """A connection for many questions reads what was written down."""
    name, called = table
    query = f"select {selected} from {name} {'' if where is None else f'where {where}'} {tail}".replace("{e}", called)
    params = {name: value for name, value in {"p": 3950, "most": 4}.items() if f"${name}" in query}
    with connect(app) as connection:
        try:
            right = connection.sql(query, **params).fetchall()
        except Exception as error:
            event("cannot be answered")
            with pytest.raises(type(error)):
                app.sql(query, **params).fetchall()
            return
        if selected in TIED and "order by" in tail:
            unlimited = re.sub(" (limit|offset) .*", "", query)
            any_of = connection.sql(
                unlimited, **{key: value for key, value in params.items() if f"${key}" in unlimited}
            )
            rows = Counter(map(repr, any_of.fetchall()))
    found = app.sql(query, **params).fetchall()
    event("found in the log" if is_found(app, query, **params) else "read from files")
    if selected in TIED and "order by" in tail:
        assert len(found) == len(right)
        assert Counter(map(repr, found)) <= rows
        return
    assert (found if "order by" in tail else sorted(found, key=repr)) == (
        right if "order by" in tail else sorted(right, key=repr)
    )


class TestArchived:
    """What was written down has the rows, and the log has them in an archive that is away."""

    @pytest.fixture
    def app(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Act]:
        monkeypatch.setattr(background, "PART_EVENTS", 100)
        with LogStore(tmp_path / "store", durability="os", segment_bytes=64 << 10) as store:
            fill(store)
            with Act(store, Account) as app:
                for relation in ("events", "deposited", "account"):
                    app.sql(f"select count(*) from {relation}").fetchall()
                assert builds.wait()
            store.compress(seal=True)  # so that the event is archived, too, that a manifest's fingerprint is of
            assert store.archive(tmp_path / "cold", parquet=False).segments == 3
        (tmp_path / "cold").rename(tmp_path / "away")
        with LogStore(tmp_path / "store", durability="os") as store, Act(store, Account) as opened:
            yield opened

    @pytest.mark.parametrize(
        ("query", "rows"),
        [
            ("select count(*) from events where stream = 'account-7'", 20),
            ("select count(*) from events where position between 11 and 20", 10),
            ("select count(*) from deposited where stream = 'account-7'", 10),
            ("select balance from account where stream = 'account-7'", sum(range(7, COMMITS, STREAMS)) - 10),
            ("select max(position) from (from events where stream = 'account-7' order by position desc limit 2)", 3616),
        ],
    )
    def test_few_events_are_read_from_what_was_written_down(self, app: Act, query: str, rows: int) -> None:
        assert not is_found(app, query)
        assert app.sql(query).fetchall() == [(rows,)]

    def test_so_are_the_newest(self, app: Act) -> None:
        query = "select position from events order by position desc limit 2"
        assert app.sql(query).fetchall() == [(4000,), (3999,)]
        query = "select position from deposited where stream = 'account-7' order by position desc limit 3"
        assert app.sql(query).fetchall() == [(3615,), (3215,), (2815,)]

    def test_what_came_later_is_found_in_the_log(self, app: Act) -> None:
        app.store.append("account-7", [("Deposited", b'{"amount":5}')])
        query = "select position from events where position > 4000"
        assert is_found(app, query)
        assert app.sql(query).fetchall() == [(4001,)]
        assert app.sql("select position from events order by position desc limit 2").fetchall() == [(4001,), (4000,)]
        assert app.sql("select count(*) from deposited where stream = 'account-7'").fetchall() == [(11,)]

    def test_rows_that_only_the_archive_has_are_an_error(self, app: Act, tmp_path: Path) -> None:
        rmtree(tmp_path / "store" / FOLDER)
        query = "select count(*) from events where stream = 'account-7'"
        with pytest.raises(Exception, match="is archived at") as raised:
            app.sql(query).fetchall()
        assert isinstance(raised.value, ArchiveUnavailableError) or archive_away(raised.value)
        assert builds.wait()
        assert not list((tmp_path / "store").glob(f"{FOLDER}/*/*.duckdb"))
