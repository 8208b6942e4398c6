"""The tables: made once, checked when a store is opened, and refused when they are something else."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from act_fast import Act, Condition, ConditionError, Query, StoreError, StoreFormatError
from act_fast.stores.database import store as store_module
from act_fast.stores.mysql import schema
from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.store import MySqlStore
from tests.stores.mysql.stores import ask, connected, held_append, numbered, without_tags
from tests.support.bank import Account, Opened
from tests.support.every_kind import EveryKind
from tests.support.mariadb import MariaDbServer


@pytest.fixture
def admin(mariadb_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Runs statements as an administrator; {} stands for the prefix."""
    prefix = place_of(mariadb_url).prefix
    with connected(mariadb_url, autocommit=True) as connection:
        yield lambda statement: ask(connection, statement.format(prefix))


Admin = Callable[..., list[tuple[Any, ...]]]


def test_many_programs_may_make_the_store_at_once(mariadb_url: str) -> None:
    def open_and_append(number: int) -> str:
        with MySqlStore(mariadb_url) as store:
            store.append("a", numbered(number))
            return store._store_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(open_and_append, range(8)))) == 1
    with MySqlStore(mariadb_url) as store:
        assert store.head == 8


def test_a_store_that_is_not_there_is_not_made_unasked(mariadb_url: str) -> None:
    with pytest.raises(StoreError, match="open it with create=True, or let `act-fast store init`"):
        MySqlStore(mariadb_url, create=False)
    MySqlStore(mariadb_url).close()
    MySqlStore(mariadb_url, create=False).close()


@pytest.mark.parametrize("lost", ["log", "writers", "events"])
def test_what_a_program_that_died_has_begun_to_make_is_finished(mariadb_url: str, admin: Admin, lost: str) -> None:
    MySqlStore(mariadb_url).close()
    admin("delete from {}_log")
    admin(f"drop table {{}}_{lost}")
    with pytest.raises(StoreError, match="open it with create=True"):
        MySqlStore(mariadb_url, create=False)
    with MySqlStore(mariadb_url) as store:
        assert store.append("a", numbered(1)).first_position == 1
        assert store.verify().healthy


def test_a_newer_format_is_refused(mariadb_url: str, admin: Admin) -> None:
    MySqlStore(mariadb_url).close()
    admin("update {}_log set format = 99")
    with pytest.raises(StoreFormatError, match="has format 99"):
        MySqlStore(mariadb_url)


FORMAT, MIGRATIONS = len(schema.MIGRATIONS) + 1, schema.MIGRATIONS


def planted(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    """Let this version of act-fast be one that has other tables."""
    monkeypatch.setattr(schema, "MIGRATIONS", [*MIGRATIONS, *([step] for step in steps)])


STEPS = (
    "alter table {schema}.events add column if not exists note text",
    "create table if not exists {schema}.notes (note text)",
)


def test_an_older_format_is_refused_until_its_owner_upgrades_it(
    mariadb_url: str, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MySqlStore(mariadb_url) as earlier:
        earlier.append("a", numbered(1))
        planted(monkeypatch, *STEPS)
        with pytest.raises(
            StoreFormatError, match=f"has format {FORMAT}, and this version of act-fast needs {FORMAT + 2}"
        ):
            MySqlStore(mariadb_url)
        assert MySqlStore.upgrade(mariadb_url) == (FORMAT, FORMAT + 2)
        assert MySqlStore.upgrade(mariadb_url) == (FORMAT + 2, FORMAT + 2)
        earlier.append("a", numbered(2))
    admin("select note from {}_events")
    with MySqlStore(mariadb_url) as store:
        assert store.append("a", numbered(3), expected_version=2).first_position == 3
        assert store.verify().healthy
    planted(monkeypatch)
    for use in (MySqlStore, MySqlStore.upgrade):
        with pytest.raises(
            StoreFormatError, match=f"has format {FORMAT + 2}, which a newer version of act-fast has made"
        ):
            use(mariadb_url)


def test_an_upgrade_that_failed_goes_on_where_it_was(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MySqlStore(mariadb_url).close()
    planted(monkeypatch, STEPS[0], "nonsense")
    with pytest.raises(StoreError, match="does not understand"):
        MySqlStore.upgrade(mariadb_url)
    planted(monkeypatch, *STEPS)
    assert MySqlStore.upgrade(mariadb_url) == (FORMAT + 1, FORMAT + 2)
    MySqlStore(mariadb_url).close()


@pytest.mark.parametrize("failed", [False, True], ids=["at once", "after it failed"])
def test_a_store_that_was_made_before_there_were_tags_keeps_them_once_it_is_upgraded(
    mariadb_url: str, admin: Admin, failed: bool
) -> None:
    with MySqlStore(mariadb_url) as earlier:
        earlier.append("a", numbered(1))
        without_tags(mariadb_url)
        with pytest.raises(StoreFormatError, match="run `act-fast store upgrade ADDRESS`"):
            MySqlStore(mariadb_url)
        if failed:
            admin("alter table {}_events add column tags mediumtext character set utf8mb4 collate utf8mb4_bin")
        assert MySqlStore.upgrade(mariadb_url) == (1, FORMAT)
        earlier.append("a", numbered(2), expected_version=1)
    with held_append(mariadb_url, "b", 2) as still:
        still.commit()
    with MySqlStore(mariadb_url) as store:
        nothing = Condition(Query.of(tags=["t:1"]))
        store.append("a", [("Counted", b"1", ["t:1", "t:2"])], condition=nothing)
        with pytest.raises(ConditionError):
            store.append("a", numbered(4), condition=nothing)
        assert [event.tags for event in store.query()] == [*[()] * 4, ("t:1", "t:2")]
        assert store.verify().healthy
    assert admin("select tags from {}_readable_events where position = 5") == [("t:1\nt:2",)]


def test_an_upgrade_leaves_data_of_every_kind_as_it_is(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = EveryKind()
    with MySqlStore(mariadb_url) as earlier:
        kinds.fill(earlier)
    planted(monkeypatch, *STEPS)
    assert MySqlStore.upgrade(mariadb_url) == (FORMAT, FORMAT + 2)
    with MySqlStore(mariadb_url) as store:
        kinds.check(store)


def test_a_store_of_before_there_were_tags_keeps_the_data_of_every_other_kind(mariadb_url: str) -> None:
    kinds = EveryKind(tags=False)
    with MySqlStore(mariadb_url) as earlier:
        kinds.fill(earlier)
    without_tags(mariadb_url)
    assert MySqlStore.upgrade(mariadb_url) == (1, FORMAT)
    with MySqlStore(mariadb_url) as store:
        kinds.check(store)


def test_what_is_not_there_is_not_upgraded(mariadb_url: str) -> None:
    with pytest.raises(StoreError, match="act-fast store init"):
        MySqlStore.upgrade(mariadb_url)


@pytest.mark.parametrize("table", ["create table {}_log (line text)", "create table {}_log (format int, one int)"])
def test_tables_of_something_else_are_refused_and_left_alone(mariadb_url: str, admin: Admin, table: str) -> None:
    admin(table)
    with pytest.raises(StoreFormatError, match="choose another prefix"):
        MySqlStore(mariadb_url)
    assert len(admin("show tables like '{}%'")) == 1


@pytest.fixture
def clerk_url(mariadb: MariaDbServer, mariadb_url: str) -> Iterator[str]:
    """The address of a store for a user who may do nothing yet."""
    MySqlStore(mariadb_url).close()
    mariadb.ask("create user clerk@'%'")
    yield mariadb_url.replace("root@", "clerk@")
    mariadb.ask("drop user clerk@'%'")


TABLES = ["log", "events", "tags", "streams", "names", "counted", "snapshots", "writers"]


def grant(mariadb: MariaDbServer, url: str, rights: str, tables: list[str] = TABLES) -> None:
    for table in tables:
        mariadb.ask(f"grant {rights} on test.{place_of(url).prefix}_{table} to clerk@'%'")


def test_the_rights_that_the_guide_names_are_enough(
    mariadb: MariaDbServer, mariadb_url: str, clerk_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_UNCOUNTED_MAX", 0)
    mariadb.ask("set global innodb_flush_log_at_trx_commit = 1")
    grant(mariadb, mariadb_url, "select, insert, update, delete")
    with MySqlStore(clerk_url) as store:
        store.append("a", numbered(1))
        store.append("a", numbered(1) * 2)
        store.save_snapshot("a", 1, b"x")
        assert store.wait(0) == 3
        assert store.names() == store.names() == {"Counted": 3}
        assert store.verify().healthy
        store.flush()
        assert (store.stats().events, len(list(store.query()))) == (3, 3)
        assert mariadb.ask(f"select position from test.{place_of(mariadb_url).prefix}_counted") == [(3,)]


def test_missing_rights_are_told_and_nothing_is_written(
    mariadb: MariaDbServer, mariadb_url: str, clerk_url: str
) -> None:
    with pytest.raises(StoreError, match="Access denied"):
        MySqlStore(clerk_url)
    grant(mariadb, mariadb_url, "select, insert, update, delete")
    for table in ("events", "streams", "writers"):
        mariadb.ask(f"revoke insert on test.{place_of(mariadb_url).prefix}_{table} from clerk@'%'")
        with MySqlStore(clerk_url) as store:
            for count in (1, 2):
                with pytest.raises(StoreError, match="grant this user"):
                    store.append("a", numbered(1) * count)
            assert (store.head, list(store.streams())) == (0, [])
        grant(mariadb, mariadb_url, "insert", [table])
    with MySqlStore(clerk_url) as store:
        assert store.append("a", numbered(1)).first_position == 1
        assert store.verify().healthy


def test_a_store_that_may_only_be_read_is_read(mariadb: MariaDbServer, mariadb_url: str, clerk_url: str) -> None:
    grant(mariadb, mariadb_url, "select")
    with MySqlStore(mariadb_url) as writer, MySqlStore(clerk_url) as reader:
        writer.append("a", numbered(1))
        assert reader.wait(0) == 1
        assert [event.position for event in reader.query()] == [1]
        assert reader.names() == {"Counted": 1}
        with pytest.raises(StoreError, match="denied"):
            reader.append("a", numbered(2))


def test_targets_may_be_looked_at_by_a_user_who_may_only_read(
    mariadb: MariaDbServer, mariadb_url: str, clerk_url: str
) -> None:
    grant(mariadb, mariadb_url, "select", [*TABLES, "reactions", "reaction_changes", "reaction_lines"])
    with Act(mariadb_url, Account) as app, MySqlStore(clerk_url) as reader:
        app.on(Opened, name="seen")(lambda event: None)
        app.do(Account.open, "a", owner="Ada")
        app.settle()
        reactions = reader.reactions()
        assert [target["name"] for target in reactions.targets()] == ["a"]
        for _ in range(2):
            with pytest.raises(StoreError, match="denied"):
                reactions.register([("another", ["Opened"], "all", None, "default", 0, False, ())])
        app.do(Account.open, "b", owner="Ada")
        app.settle()
        assert [target["name"] for target in reactions.targets()] == ["a", "b"]


def test_without_the_right_to_make_a_view_the_store_is_made(mariadb: MariaDbServer, mariadb_url: str) -> None:
    mariadb.ask("create user maker@'%'")
    mariadb.ask("grant create, select, insert, update, delete on test.* to maker@'%'")
    try:
        with MySqlStore(mariadb_url.replace("root@", "maker@")) as store:
            assert store.append("a", numbered(1)).first_position == 1
    finally:
        mariadb.ask("drop user maker@'%'")


def test_people_may_read_the_events_with_sql(mariadb_url: str, admin: Admin) -> None:
    with MySqlStore(mariadb_url) as store:
        store.append("a/ü", [("Said", b'{"z": "x", "a": 1.50}')])
        (row,) = admin(
            "select position, stream, name, json_value(data, '$.a'), meta, created > '2020-01-01' from"
            " {}_readable_events"
        )
        assert row == (1, "a/ü", "Said", "1.50", None, 1)


DAMAGES = {
    "a missing event": "delete from {}_events where position = 3",
    "the last event missing": "delete from {}_events where position = 6",
    "a version that leaps": "update {}_events set version = version + 10 where position = 6",
    "time that runs backwards": "update {}_events set created_us = 1 where position = 4",
    "data that is not JSON": "update {}_events set data = '{{' where position = 2",
    "meta that is not JSON": "update {}_events set meta = '[]' where position = 2",
    "a stream's version": "update {}_streams set version = 7 where stream = 'a'",
    "a stream's last name": "update {}_streams set last_name = 'x' where stream = 'a'",
    "a stream that is forgotten": "delete from {}_streams where stream = 'a'",
    "a name's count": "update {}_names set count = count + 1",
    "a name that is forgotten": "delete from {}_names",
    "a snapshot too far": "insert into {}_snapshots values ('a', 99, 0, '')",
    "a tag that is not found": "delete from {}_tags where tag = 't:1' and position = 4",
    "a tag that leads to another event": "update {}_tags set position = 3 where tag = 't:1' and position = 4",
    "a tag that leads nowhere": "update {}_tags set tag = 't:' where tag = 't:1' and position = 4",
    "a tag that is none": "update {}_events set tags = concat(tags, '\\n') where position = 4",
    "a commit in another one": "update {}_events set commit_position = 1 where position = 5",
}


@pytest.mark.parametrize("damage", list(DAMAGES.values()), ids=list(DAMAGES))
def test_verify_finds_what_is_wrong(mariadb_url: str, admin: Admin, damage: str) -> None:
    with MySqlStore(mariadb_url) as store:
        for stream in ("a", "b", "a"):
            store.append(stream, [*numbered(1), (*numbered(1)[0], ["t:1", "t:2"])])
            store._count_names()
        assert store.verify().healthy
        admin(damage)
        report = store.verify()
        assert report.problems
        assert all(problem.message for problem in report.problems)


def test_names_are_counted_once_and_kept(mariadb_url: str, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_UNCOUNTED_MAX", 10)
    with MySqlStore(mariadb_url) as store:
        expected: dict[str, int] = {}
        for number in range(30):
            store.append("a", [(f"N{number % 3}", b"1")])
            expected[f"N{number % 3}"] = expected.get(f"N{number % 3}", 0) + 1
            assert store.names() == expected
        ((counted,),) = admin("select position from {}_counted")
        assert 10 < counted <= 30
        assert store.verify().healthy
