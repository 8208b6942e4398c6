"""Whatever is asked, nothing on the disk changes, and nothing but the log is read: DuckDB itself sees to it.

Each statement is tried in all the ways that there are to hand it in, on a store whose settled part has been written
down. Before and after, every byte of the store and of the folder that it is in is the same.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from act_fast import Act, Connection, Event, LogStore, State, action, connect
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from act_fast._sql.parts.manifest import FOLDER
from act_fast.errors import ValidationError
from tests.support.bank import Account

SECRET = "nobody may read this"

WRITES = [
    "copy (select 'x') to '{target}'",
    "copy (select 'x' as x) to '{target}' (format parquet)",
    "copy (select 'x' as x) to '{target}' (format csv, use_tmp_file false)",
    "copy (select 'x' as x) to '{target}' (format json, use_tmp_file false)",
    "copy events to '{target}'",
    "copy (pivot (select 1 as a, 'x' as b) on b using sum(a)) to '{target}'",
    "with written as (copy (select 1) to '{target}') select 1",
    "with written as materialized (copy (select 1) to '{target}') select 1",
    "from (with written as (copy (select 1) to '{target}') select 1)",
    "select * from query('with written as (copy (select 1) to ''{target}'') select 1')",
    "copy (select 1 as name, 2 as x) to '{folder}/parts' (format parquet, partition_by (name), overwrite true)",
    "export database '{folder}/all'",
    "import database '{folder}'",
    "attach '{target}' as other",
    "attach '{folder}/other.duckdb' as other",
    "attach '{folder}/other.duckdb' as other (read_only false)",
    "copy from database memory to other",
    "install httpfs",
    "install '{folder}/evil.duckdb_extension'",
    "force install json from '{folder}'",
    "load httpfs",
    "load '{folder}/evil.duckdb_extension'",
    "update extensions",
    "create persistent secret s (type http)",
    "set temp_directory = '{folder}/spill'",
    "set global log_query_path = '{target}'",
    "set profiling_output = '{target}'",
    "pragma enable_profiling = 'json'",
    "pragma profiling_output = '{target}'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set allowed_paths = ['{target}']",
    "reset allowed_directories",
    "set python_enable_replacements = true",
    "set home_directory = '{folder}'",
    "set secret_directory = '{folder}'",
    "set extension_directories = ['{folder}']",
    "set file_search_path = '{folder}'",
    "call enable_logging('QueryLog', storage := 'file', storage_path := '{folder}/logged')",
    "from enable_logging('QueryLog', storage := 'file', storage_path := '{folder}/logged')",
    "from enable_profiling(format := 'json', save_location := '{target}')",
    "checkpoint",
    "force checkpoint",
    "vacuum",
    "analyze",
    "use memory.main",
    "copy mine from '{target}'",
    "pragma import_database('{folder}')",
    "prepare p as copy (select 1) to '{target}'; execute p",
]

READS = [
    "from read_csv('{secret}')",
    "from read_csv_auto('{secret}', header = false)",
    "from read_csv(['{secret}'])",
    "from read_text('{secret}')",
    "from read_blob('{secret}')",
    "from read_json('{secret}')",
    "from read_json_objects('{secret}', format = 'unstructured')",
    "from read_ndjson('{secret}')",
    "from read_parquet('{secret}')",
    "from parquet_scan('{secret}')",
    "from parquet_metadata('{secret}')",
    "from parquet_schema('{secret}')",
    "from parquet_kv_metadata('{secret}')",
    "from parquet_file_metadata('{secret}')",
    "from sniff_csv('{secret}')",
    "from glob('{folder}/*')",
    "from glob('act-fast-part://*')",
    "from read_blob('act-fast-part://*')",
    "from read_text('act-fast-part://{secret}')",
    "from read_text('act-fast-part://../{secret}')",
    "from read_text('file://{secret}')",
    "from read_duckdb('{secret}')",
    "from '{secret}'",
    'from "{secret}"',
    "select * from query('from read_text(''{secret}'')')",
    "from query_table('{secret}')",
    "select (select content from read_text('{secret}'))",
    "with found as (from read_text('{secret}')) from found",
    "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{secret}'')'))",
    "select getenv('PATH')",
    "from read_text(getvariable('secret'))",
    "describe from read_text('{secret}')",
    "summarize from read_text('{secret}')",
    "pivot (from read_text('{secret}')) on filename using first(content)",
]


@pytest.fixture
def app(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Act]:
    """An app whose store has a settled part, in a folder that has something else in it too."""
    monkeypatch.setattr(background, "PART_EVENTS", 10)
    (store_path.parent / "secret.csv").write_text(f"{SECRET}\n")
    monkeypatch.chdir(store_path.parent)
    with Act(LogStore(store_path, durability="os"), Account) as opened:
        for number in range(20):
            opened.store.append(f"account-{number}", [("Deposited", b'{"amount":%d}' % number)])
        assert opened.sql("select count(*) from events, deposited").fetchall() == [(400,)]
        assert builds.wait()
        monkeypatch.setattr(background, "PART_EVENTS", 1000)  # what a connection finds beside these is few
        opened.settle()  # what the store keeps of reactions is there
        assert [*(store_path / FOLDER).glob("*/*.duckdb")]
        yield opened
    opened.store.close()


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every file of a folder, byte for byte, and every folder in it."""
    return {str(each): each.read_bytes() if each.is_file() else None for each in sorted(folder.rglob("*"))}


def targets_of(store_path: Path) -> list[Path]:
    """What would hurt: a segment, a part, what is around, what is not there yet."""
    segment = next(iter(sorted((store_path / "log").glob("*.seg"))))
    part = next(iter(sorted((store_path / FOLDER).glob("*/*.duckdb"))))
    return [segment, part, store_path.parent / "secret.csv", store_path.parent / "new.csv", Path("new.csv")]


def forms(statement: str) -> list[str]:
    """A statement in all that it can be hidden in."""
    text = statement.replace("'", "''")
    return [
        statement,
        f"explain {statement}",
        f"explain analyze {statement}",
        f"explain (analyze, format json) {statement}",
        f"/* select */ {statement}",
        f"select 1; {statement}",
        f"with found as ({statement}) select 1",
        f"with found as ({statement}) from found",
        f"select * from ({statement})",
        f"from query('{text}')",
        f"prepare hidden as {statement}",
        f"create temp view hidden as {statement}",
        f"create or replace temp macro hidden() as table {statement}",
        f"create temp table hidden as {statement}",
        f"insert into hidden {statement}",
    ]


USED = [
    "execute hidden",
    "from hidden",
    "from hidden()",
    "explain analyze execute hidden",
    "explain analyze from hidden",
]


def try_all(app: Act, connection: Connection, statement: str) -> list[str]:
    """Hand a statement in by every way there is; what was answered."""
    answers = []
    for text in [*forms(statement), *USED]:
        for ask in (app.sql, connection.sql, connection.duckdb.sql, connection.duckdb.execute):
            try:
                answer = ask(text)
                answers.append(repr(answer.fetchall()) if answer is not None else "")
            except (ValidationError, duckdb.Error):
                continue
    return answers


@pytest.mark.parametrize("statement", WRITES)
def test_no_statement_changes_a_byte(app: Act, store_path: Path, statement: str) -> None:
    targets = targets_of(store_path)
    before = everything(store_path.parent)
    with connect(app) as connection:
        for target in targets if "{target}" in statement else targets[:1]:
            try_all(app, connection, statement.format(target=target, folder=store_path.parent))
    assert everything(store_path.parent) == before


@pytest.mark.parametrize("statement", READS)
def test_no_statement_reads_a_file(app: Act, store_path: Path, statement: str) -> None:
    before = everything(store_path.parent)
    secret = store_path.parent / "secret.csv"
    with connect(app) as connection:
        connection.duckdb.execute(f"set variable secret = '{secret}'")
        answers = try_all(app, connection, statement.format(secret=secret, folder=store_path.parent))
    told = [each for each in answers if SECRET in each or "00000000.seg" in each or os.environ["PATH"] in each]
    # What is asked may come back as a text, in a plan or as what was serialized; what is in the file may not.
    assert told == []
    assert everything(store_path.parent) == before


def test_paths_from_parameters_are_refused_too(app: Act, store_path: Path) -> None:
    before = everything(store_path.parent)
    secret = str(store_path.parent / "secret.csv")
    for query in ("from read_text($path)", "explain analyze from read_text($path)", "from query_table($path)"):
        with pytest.raises(ValidationError):
            app.sql(query, path=secret)
    assert everything(store_path.parent) == before


def test_what_is_refused_for_a_file_is_told_how_to_have_files(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"connect\(\.\.\., files=True\)"):
        app.sql("from read_csv('secret.csv')")


@pytest.mark.parametrize(
    "query",
    [
        "explain analyze create table mine (a int)",
        "explain create table mine (a int)",
        "explain (format json) insert into targets from targets",
        "with gone as (delete from targets returning *) from gone",
        "with more as (insert into targets from targets returning *) from more",
        "create table mine as pivot events on name using count(*)",
        "explain analyze copy (select 1) to 'x.csv'",
        "explain set threads = 1",
        "explain load json",
    ],
)
def test_what_changes_something_is_no_question_wherever_it_stands(app: Act, query: str) -> None:
    with pytest.raises(ValidationError, match="not a question"):
        app.sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "explain select 1",
        "explain (select 1)",
        "explain analyze select 1",
        "explain (analyze, format json) select 1",
        "explain (format json) (select 1);",
        "EXPLAIN /* why */ ANALYZE -- so\n select 'ä', 1",
        "select 'copy' as copy",
        "pivot events on name using count(*)",
        "from (pivot events on name using count(*)) -- end",
        "explain describe events",
        "summarize events",
    ],
)
def test_what_changes_nothing_is_a_question(app: Act, query: str) -> None:
    assert app.sql(query).fetchall()


def test_tables_of_ones_own_are_as_before(app: Act) -> None:
    with connect(app) as connection:
        connection.duckdb.execute("create table large as select * from deposited where amount > 10")
        connection.duckdb.execute("create macro twice(x) as 2 * x")
        connection.duckdb.execute("set variable least = 15")
        query = "select count(*), twice(count(*)) from large where amount >= getvariable('least')"
        assert connection.duckdb.execute(query).fetchall() == [(5, 10)]


def test_files_are_read_when_that_is_asked_for(app: Act, store_path: Path) -> None:
    before = everything(store_path.parent)
    with connect(app, files=True) as connection:
        query = "select count(*), max(column0) from read_csv($path, header = false), deposited"
        assert connection.sql(query, path="secret.csv").fetchall() == [(20, SECRET)]
        assert connection.sql("from 'secret.csv'").columns == [SECRET]
        assert connection.sql("from glob('secret*')").fetchall() == [("secret.csv",)]
        assert connection.sql("select count(*) from account_at(3)").fetchall() == [(3,)]
        assert connection.sql("explain analyze from read_text('secret.csv')").fetchall()
        with pytest.raises(ValidationError, match="cannot be answered"):
            connection.sql("from read_csv('not-there.csv')")
        with pytest.raises(ValidationError, match="files=True"):
            _ = connection.duckdb
    assert everything(store_path.parent) == before


@pytest.mark.parametrize("statement", WRITES)
def test_files_are_only_read_even_then(app: Act, store_path: Path, statement: str) -> None:
    targets = targets_of(store_path)
    before = everything(store_path.parent)
    with connect(app, files=True) as connection:
        for target in targets if "{target}" in statement else targets[:1]:
            for text in forms(statement.format(target=target, folder=store_path.parent)) + USED:
                try:
                    connection.sql(text).fetchall()
                except (ValidationError, duckdb.Error):
                    continue
    assert everything(store_path.parent) == before


class Query(Event):
    """Called as a function of DuckDB's that answers whatever text it is given."""


class Names(State):
    @action
    def query(self) -> Query:
        return Query()


def test_an_event_class_called_like_a_function_does_not_open_the_way_to_it() -> None:
    with Act("memory:", Names) as app, connect(app, files=True) as connection:
        app.do(Names.query, "a")
        connection.refresh()
        assert connection.sql("select count(*) from query, names_at(1)").fetchall() == [(1,)]
        for function in ("query", '"Query"', "main.query", "system.main.query"):
            with pytest.raises(ValidationError, match="only allows functions that read"):
                connection.sql(f"from {function}('from duckdb_settings()')")


def test_a_settled_part_is_opened_for_nothing_but_reading(app: Act, store_path: Path) -> None:
    before = everything(store_path.parent)
    with connect(app) as connection:
        found = connection.duckdb.execute(
            "select database_name, path from duckdb_databases() where readonly"
        ).fetchall()
        assert len(found) == 2
        for alias, name in found:
            assert str(store_path.parent) not in name
            assert connection.duckdb.execute(f'select count(*) from "{alias}".settled').fetchall() == [(20,)]
            changes = [
                f'insert into "{alias}".settled select * from "{alias}".settled',
                f'delete from "{alias}".settled',
                f'create table "{alias}".more as select 1',
                f'checkpoint "{alias}"',
                f'copy from database memory to "{alias}"',
                f"attach or replace '{name}' as \"{alias}\"",
                f'detach "{alias}"',
                f"attach '{name}' as again",
                f"attach '{name}x' as beside",
                "insert into again.settled select * from again.settled",
            ]
            for statement in [*WRITES, *changes]:
                for ask in (connection.duckdb.execute, connection.duckdb.sql):
                    try:
                        ask(statement.format(target=name, folder=name))
                    except duckdb.Error:
                        continue
    assert everything(store_path.parent) == before
    assert app.sql("select count(*) from events").fetchall() == [(20,)]


def test_what_has_settled_of_one_store_is_out_of_reach_for_the_questions_of_another(app: Act) -> None:
    attached = "select database_name from duckdb_databases() where readonly"
    (alias, *_) = [name for (name,) in app.sql(f"{attached} and exists (from events, deposited)").fetchall()]
    with Act("memory:", Account) as other:
        assert other.sql(attached).fetchall() == []
        with pytest.raises(ValidationError, match="does not exist"):
            other.sql(f'from "{alias}".settled')
