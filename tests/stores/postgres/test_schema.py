"""The tables: made once, checked when a store is opened, and refused when they are something else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from act_fast import Act, Condition, ConditionError, Query, StoreError, StoreFormatError
from act_fast.stores.database import store as store_module
from act_fast.stores.postgres import schema
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.postgres.stores import held_append, numbered, without_tags
from tests.support.bank import Account, Opened
from tests.support.every_kind import EveryKind
from tests.support.servers import PostgresServer


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place_of(postgres_url).conninfo, autocommit=True) as connection:
        yield connection


def run(admin: psycopg.Connection, url: str, statement: str) -> None:
    name = sql.Identifier(place_of(url).schema)
    admin.execute(sql.SQL(statement).format(name))  # type: ignore[arg-type]


def test_many_programs_may_make_the_store_at_once(postgres_url: str) -> None:
    def open_and_append(number: int) -> str:
        with PostgresStore(postgres_url) as store:
            store.append("a", numbered(number))
            return store._store_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(open_and_append, range(8)))) == 1
    with PostgresStore(postgres_url) as store:
        assert store.head == 8


def test_a_store_that_is_not_there_is_not_made_unasked(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="open it with create=True, or let `act-fast store init`"):
        PostgresStore(postgres_url, create=False)
    PostgresStore(postgres_url).close()
    PostgresStore(postgres_url, create=False).close()


def test_a_newer_format_is_refused(postgres_url: str, admin: psycopg.Connection) -> None:
    PostgresStore(postgres_url).close()
    run(admin, postgres_url, "update {}.log set format = 99")
    with pytest.raises(StoreFormatError, match="has format 99"):
        PostgresStore(postgres_url)


FORMAT, MIGRATIONS = len(schema.MIGRATIONS) + 1, schema.MIGRATIONS


def planted(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    """Let this version of act-fast be one that has other tables."""
    monkeypatch.setattr(schema, "MIGRATIONS", [*MIGRATIONS, *([step] for step in steps)])


STEPS = "alter table {schema}.events add column note text", "create table {schema}.notes (note text)"


def test_an_older_format_is_refused_until_its_owner_upgrades_it(
    postgres_url: str, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PostgresStore(postgres_url) as earlier:
        earlier.append("a", numbered(1))
        planted(monkeypatch, *STEPS)
        with pytest.raises(
            StoreFormatError, match=f"has format {FORMAT}, and this version of act-fast needs {FORMAT + 2}"
        ):
            PostgresStore(postgres_url)
        assert PostgresStore.upgrade(postgres_url) == (FORMAT, FORMAT + 2)
        assert PostgresStore.upgrade(postgres_url) == (FORMAT + 2, FORMAT + 2)
        earlier.append("a", numbered(2))
    run(admin, postgres_url, "select e.note, n.note from {0}.events e, {0}.notes n")
    with PostgresStore(postgres_url) as store:
        assert store.append("a", numbered(3), expected_version=2).first_position == 3
        assert store.verify().healthy
    planted(monkeypatch)
    for use in (PostgresStore, PostgresStore.upgrade):
        with pytest.raises(
            StoreFormatError, match=f"has format {FORMAT + 2}, which a newer version of act-fast has made"
        ):
            use(postgres_url)


def test_an_upgrade_that_fails_changes_nothing(
    postgres_url: str, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    PostgresStore(postgres_url).close()
    planted(monkeypatch, STEPS[0], "nonsense")
    with pytest.raises(StoreError, match="syntax error"):
        PostgresStore.upgrade(postgres_url)
    planted(monkeypatch)
    PostgresStore(postgres_url).close()
    planted(monkeypatch, *STEPS)
    assert PostgresStore.upgrade(postgres_url) == (FORMAT, FORMAT + 2)


def test_a_store_that_was_made_before_there_were_tags_keeps_them_once_it_is_upgraded(
    postgres_url: str, clerk_url: str, admin: psycopg.Connection
) -> None:
    run(admin, postgres_url, RIGHTS)
    with PostgresStore(clerk_url) as earlier:
        earlier.append("a", numbered(1))
        without_tags(postgres_url)
        with pytest.raises(StoreFormatError, match="run `act-fast store upgrade ADDRESS`"):
            PostgresStore(clerk_url)
        assert PostgresStore.upgrade(postgres_url) == (1, FORMAT)
        earlier.append("a", numbered(2), expected_version=1)
        earlier.append("a", numbered(3) * 2)
    with held_append(postgres_url, "b", 2) as still:
        still.commit()
    with PostgresStore(clerk_url) as store:
        nothing = Condition(Query.of(tags=["t:1"]))
        store.append("a", [("Counted", b"1", ["t:1", "t:2"])], condition=nothing)
        with pytest.raises(ConditionError):
            store.append("a", numbered(4), condition=nothing)
        assert [event.tags for event in store.query()] == [*[()] * 6, ("t:1", "t:2")]
        assert store.verify().healthy
    question = "select tags from {}.readable_events where position = 7"
    found = admin.execute(sql.SQL(question).format(sql.Identifier(place_of(postgres_url).schema))).fetchone()
    assert found == (["t:1", "t:2"],)


def test_an_upgrade_leaves_data_of_every_kind_as_it_is(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = EveryKind()
    with PostgresStore(postgres_url) as earlier:
        kinds.fill(earlier)
    planted(monkeypatch, *STEPS)
    assert PostgresStore.upgrade(postgres_url) == (FORMAT, FORMAT + 2)
    with PostgresStore(postgres_url) as store:
        kinds.check(store)


def test_a_store_of_before_there_were_tags_keeps_the_data_of_every_other_kind(postgres_url: str) -> None:
    kinds = EveryKind(tags=False)
    with PostgresStore(postgres_url) as earlier:
        kinds.fill(earlier)
    without_tags(postgres_url)
    assert PostgresStore.upgrade(postgres_url) == (1, FORMAT)
    with PostgresStore(postgres_url) as store:
        kinds.check(store)


def test_what_is_not_there_is_not_upgraded(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="act-fast store init"):
        PostgresStore.upgrade(postgres_url)


@pytest.mark.parametrize(
    "table", ["create table {}.log (line text)", "create table {}.log (format int, store_id text)"]
)
def test_a_schema_of_something_else_is_refused_and_left_alone(
    postgres_url: str, admin: psycopg.Connection, table: str
) -> None:
    run(admin, postgres_url, "create schema {}")
    run(admin, postgres_url, table)
    with pytest.raises(StoreFormatError, match="choose another schema"):
        PostgresStore(postgres_url)
    found = admin.execute(
        "select count(*) from pg_tables where schemaname = %s", (place_of(postgres_url).schema,)
    ).fetchone()
    assert found == (1,)


def test_a_database_that_cannot_keep_every_text_is_refused(postgres: PostgresServer, admin: psycopg.Connection) -> None:
    admin.execute("create database latin encoding 'LATIN1' template template0 locale 'C'")
    with pytest.raises(StoreError, match="encoding 'UTF8'"):
        PostgresStore(postgres.url("latin"))


def test_a_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(StoreError, match='database "nowhere" does not exist'):
        PostgresStore(postgres.url("nowhere"))


RIGHTS = """
grant usage on schema {0} to clerk;
grant select, insert, update, delete on all tables in schema {0} to clerk;
"""


@pytest.fixture
def clerk_url(postgres_url: str, admin: psycopg.Connection) -> Iterator[str]:
    """The address of a store for a role that may do nothing yet."""
    PostgresStore(postgres_url).close()
    admin.execute("create role clerk login")
    yield postgres_url.replace("postgres@", "clerk@")
    admin.execute("drop owned by clerk")
    admin.execute("drop role clerk")


def test_the_rights_that_the_guide_names_are_enough(
    postgres_url: str, clerk_url: str, admin: psycopg.Connection
) -> None:
    run(admin, postgres_url, RIGHTS)
    with PostgresStore(clerk_url) as store:
        store.append("a", numbered(1))
        store.save_snapshot("a", 1, b"x")
        assert store.wait(0) == 1
        assert store.verify().healthy
        store.flush()
        assert (store.stats().events, len(list(store.query()))) == (1, 1)


def test_missing_rights_are_told_and_nothing_is_written(
    postgres_url: str, clerk_url: str, admin: psycopg.Connection
) -> None:
    with pytest.raises(StoreError, match="grant this role usage"):
        PostgresStore(clerk_url)
    run(admin, postgres_url, RIGHTS)
    run(admin, postgres_url, "revoke insert on {}.events from clerk")
    with PostgresStore(clerk_url) as store:
        with pytest.raises(StoreError, match="grant this role usage"):
            store.append("a", numbered(1))
        assert (store.head, list(store.streams())) == (0, [])


def test_a_store_that_may_only_be_read_is_read(postgres_url: str, clerk_url: str, admin: psycopg.Connection) -> None:
    run(admin, postgres_url, "grant usage on schema {0} to clerk; grant select on all tables in schema {0} to clerk")
    with PostgresStore(postgres_url) as writer, PostgresStore(clerk_url) as reader:
        writer.append("a", numbered(1))
        assert reader.wait(0) == 1
        assert [event.position for event in reader.query()] == [1]
        with pytest.raises(StoreError, match="permission denied"):
            reader.append("a", numbered(2))


@pytest.mark.parametrize("worked", [False, True], ids=["nothing was done yet", "something was done"])
def test_targets_may_be_looked_at_by_a_role_that_may_only_read(
    postgres_url: str, clerk_url: str, admin: psycopg.Connection, worked: bool
) -> None:
    run(admin, postgres_url, "grant usage on schema {0} to clerk; grant select on all tables in schema {0} to clerk")
    with Act(postgres_url, Account) as app, PostgresStore(clerk_url) as reader:

        def work_on(stream: str) -> None:
            app.do(Account.open, stream, owner="Ada")
            app.settle()

        if worked:
            app.on(Opened, name="seen")(lambda event: None)
            work_on("a")
        reactions = reader.reactions()
        assert [target["name"] for target in reactions.targets()] == (["a"] if worked else [])
        for _ in range(2):
            with pytest.raises(StoreError, match="permission denied"):
                reactions.register([("another", ["Opened"], "all", None, "default", 0, False, ())])
        if worked:
            work_on("b")
            assert [target["name"] for target in reactions.targets()] == ["a", "b"]
            run(admin, postgres_url, RIGHTS)
            assert reactions.block("stopped", ["b"]) == 1
            assert [target.name for target in app.targets(blocked=True)] == ["b"]


def test_a_role_that_reads_without_writing_is_told_what_to_do(
    postgres_url: str, clerk_url: str, admin: psycopg.Connection
) -> None:
    run(admin, postgres_url, RIGHTS)
    admin.execute("alter role clerk set default_transaction_read_only = on")
    with PostgresStore(clerk_url) as store, pytest.raises(StoreError, match="write to its primary"):
        store.append("a", numbered(1))


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_another_isolation_level_of_the_role_changes_nothing(
    postgres_url: str, clerk_url: str, admin: psycopg.Connection, level: str
) -> None:
    run(admin, postgres_url, RIGHTS)
    admin.execute(f"alter role clerk set default_transaction_isolation = '{level}'")  # type: ignore[arg-type]
    with PostgresStore(clerk_url) as one, PostgresStore(clerk_url) as other, ThreadPoolExecutor(2) as pool:

        def count_up(store: PostgresStore) -> None:
            for number in range(40):
                store.append("a", numbered(number))

        for each in [pool.submit(count_up, store) for store in (one, other)]:
            each.result()
        assert [event.version for event in one.load("a")] == list(range(1, 81))
        assert one.verify().healthy


def test_people_may_read_the_events_with_sql(postgres_url: str, admin: psycopg.Connection) -> None:
    with PostgresStore(postgres_url) as store:
        store.append("a", [("Said", b'{"z": "x", "a": 1.50}')])
        schema = sql.Identifier(place_of(postgres_url).schema)
        question = sql.SQL("select position, stream, name, data->>'a', meta from {}.readable_events").format(schema)
        assert admin.execute(question).fetchall() == [(1, "a", "Said", "1.50", None)]


DAMAGES = {
    "a missing event": "delete from {}.events where position = 3",
    "the last event missing": "delete from {}.events where position = 6",
    "a version that leaps": "update {}.events set version = version + 10 where position = 6",
    "time that runs backwards": "update {}.events set created_us = 1 where position = 4",
    "data that is not JSON": "update {}.events set data = '{{' where position = 2",
    "meta that is not JSON": "update {}.events set meta = '[]' where position = 2",
    "a cause that comes later": """update {}.events set meta = '{{"causation":
        {{"event":{{"name":"a","stream":"a","position":6,"version":1}}}}}}' where position = 2""",
    "a stream's version": "update {}.streams set version = 7 where stream = 'a'",
    "a stream's last name": "update {}.streams set last_name = 'x' where stream = 'a'",
    "a stream that is forgotten": "delete from {}.streams where stream = 'a'",
    "a name's count": "update {}.names set count = count + 1",
    "a name that is forgotten": "delete from {}.names",
    "a snapshot too far": "insert into {}.snapshots values ('a', 99, 0, '')",
    "a tag that is not found": "delete from {}.tags where tag = 't:1' and position = 4",
    "a tag that leads to another event": "update {}.tags set position = 3 where tag = 't:1' and position = 4",
    "a tag that leads nowhere": "update {}.tags set tag = 't:' where tag = 't:1' and position = 4",
    "a tag that is none": "update {}.events set tags = tags || E'\\n' where position = 4",
    "a commit in another one": "update {}.events set commit_position = 1 where position = 5",
}


@pytest.mark.parametrize("damage", list(DAMAGES.values()), ids=list(DAMAGES))
def test_verify_finds_what_is_wrong(postgres_url: str, admin: psycopg.Connection, damage: str) -> None:
    with PostgresStore(postgres_url) as store:
        for stream in ("a", "b", "a"):
            store.append(stream, [*numbered(1), (*numbered(1)[0], ["t:1", "t:2"])])
            run(admin, postgres_url, "select {}.count_names()")
        assert store.verify().healthy
        run(admin, postgres_url, damage)
        report = store.verify()
        assert report.problems
        assert all(problem.message for problem in report.problems)


def test_names_are_counted_once_and_kept(
    postgres_url: str, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_UNCOUNTED_MAX", 10)
    counted = sql.SQL("select position from {}.counted").format(sql.Identifier(place_of(postgres_url).schema))
    with PostgresStore(postgres_url) as store:
        expected: dict[str, int] = {}
        for number in range(30):
            store.append("a", [(f"N{number % 3}", b"1")])
            expected[f"N{number % 3}"] = expected.get(f"N{number % 3}", 0) + 1
            assert store.names() == expected
        row = admin.execute(counted).fetchone()
        assert row is not None
        assert 10 < row[0] <= 30
        assert store.verify().healthy
