"""What a person gets who asks for something that cannot be: one sentence on standard error, and exit code 2."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import act_fast.cli.commands as cli_commands
from act_fast import LogStore
from act_fast.cli.input.arguments import Parser
from act_fast.cli.main import COMMANDS as COMMANDS_IN_FILES
from act_fast.cli.main import main
from tests.cli.conftest import Ran

COMMANDS = ["info", "streams", "events", "verify"]


def assert_one_sentence(ran) -> None:
    assert ran.code == 2
    assert ran.out == ""
    [sentence] = ran.err.splitlines()
    assert sentence.startswith("act-fast")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_without_a_store_is_wrong_usage(run, tmp_path: Path, command: str) -> None:
    assert_one_sentence(run(command, tmp_path / "nowhere.act"))
    assert not (tmp_path / "nowhere.act").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_of_something_else_is_wrong_usage(run, tmp_path: Path, command: str) -> None:
    (tmp_path / "notes.txt").write_text("not a store")
    assert_one_sentence(run(command, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_wrong_usage(run, tmp_path: Path, command: str) -> None:
    (tmp_path / "file.act").write_text("not a store")
    assert_one_sentence(run(command, tmp_path / "file.act"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "--after", "-1"],
        ["events", "--limit", "many"],
        ["events", "--limit", "1.5"],
        ["events", "--limit", "99999999999999999999"],
        ["events", "--created-after", "yesterday"],
        ["events", "--pattern", "("],
        ["events", "--unknown"],
        ["streams", "--pattern", "["],
        ["streams", "--after", "no-such-stream"],
    ],
)
def test_a_wrong_option_is_named(run, bank: Path, arguments: list[str]) -> None:
    command, *options = arguments
    assert_one_sentence(run(command, bank, *options))


def test_no_command_and_an_unknown_one_are_wrong_usage(run) -> None:
    assert_one_sentence(run())
    assert_one_sentence(run("destroy"))


def test_the_version_is_the_packages(run) -> None:
    assert run("--version").out == f"act-fast {version('act-fast')}\n"


def test_only_the_command_that_is_asked_for_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, set[str]] = {"--version": set(), "info --help": {"info"}, "skip --help": {"handle_targets"}}
    for arguments, files in asked.items():
        for name in [name for name in sys.modules if name.startswith("act_fast.cli.commands.")]:
            monkeypatch.delitem(sys.modules, name)
        with pytest.raises(SystemExit):
            main(arguments.split())
        assert {path.rpartition(".")[2] for path in sys.modules if path.startswith("act_fast.cli.commands.")} == files


def test_every_file_adds_the_commands_that_it_is_known_for() -> None:
    for file in dict.fromkeys(COMMANDS_IN_FILES.values()):
        commands = Parser().add_subparsers()
        import_module(f"act_fast.cli.commands.{file}").add(commands)
        assert list(commands.choices) == [name for name, where in COMMANDS_IN_FILES.items() if where == file]
    files = {path.stem for path in Path(cli_commands.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(COMMANDS_IN_FILES.values()) == files


def test_help_says_the_exit_codes(run) -> None:
    assert "exit codes:" in run("--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(run, command: str) -> None:
    shown = run(command, "--help").out
    assert f"act-fast {command} bank.act" in shown


def test_a_reader_that_has_seen_enough_is_no_error(start, tmp_path: Path) -> None:
    path = tmp_path / "long.act"
    with LogStore(path) as store:
        store.append("s", [("Noted", b'{"text":"long enough to fill any pipe several times over"}')] * 5000)
    child = start("events", path)
    assert child.stdout.readline().startswith("1\t")
    child.stdout.close()
    assert child.stderr.read() == ""
    assert child.wait(60) == 141


@pytest.mark.parametrize(
    "arguments", [["why", "audit"], ["events"], ["metrics"], ["targets"]], ids=lambda each: each[0]
)
def test_an_app_where_a_store_is_needed_is_told(run: Callable[..., Ran], arguments: list[str]) -> None:
    command, *rest = arguments
    told = (
        "act-fast: there is no store at bank:app; this command takes the store's directory or its address, not an app\n"
    )
    assert run(command, "bank:app", *rest) == (2, "", told)


def test_a_directory_that_is_called_like_an_app_is_a_store(
    tmp_path: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LogStore("bank:app") as store:
        store.append("s", [("Noted", b"{}")])
    assert run("events", "bank:app").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "{store}"],
        ["streams", "{store}"],
        ["events", "{store}"],
        ["verify", "{store}"],
        ["check", "usage_app:app", "{store}", "--skip-unknown"],
        ["replay", "usage_app:app", "{store}"],
        ["backup", "{store}", "copy.act"],
        ["export", "{store}", "events.jsonl"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_that_only_read_change_nothing_but_who_has_the_store_open(
    bank: Path, run: Callable[..., Ran], arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bank.parent)
    app = "from act_fast import State\nclass Empty(State): ...\ndef app():\n    from act_fast import Act\n"
    Path("usage_app.py").write_text(f"{app}    return Act('memory:', Empty)\n")

    def everything() -> dict[Path, bytes]:
        files = [each for each in bank.rglob("*") if each.is_file() and each.name != "control"]  # who has it open
        return {each: each.read_bytes() for each in files}

    before = everything()
    ran = run(*(each.format(store=bank) for each in arguments))
    assert ran.code == 0, ran.err
    assert everything() == before


def test_options_may_stand_between_the_arguments(run, bank: Path) -> None:
    assert run("sql", bank, "--at", "3", "select count(*) from events").out == "3\n"
    ran = run("unblock", bank, "--lane", "mail", "nothing-of-the-kind")
    assert (ran.code, ran.out) == (2, "")
    assert 'there is no target "nothing-of-the-kind"; `act-fast targets` lists' in ran.err
    assert "unrecognized arguments: --unknown" in run("sql", bank, "--unknown", "select 1").err
    assert "unrecognized arguments" in run("sql", bank, "--at", "3", "select 1", "select 2").err


@pytest.mark.parametrize("what", ["init", "upgrade"])
def test_only_a_store_in_a_database_has_tables(run, tmp_path: Path, what: str) -> None:
    ran = run("store", what, tmp_path / "bank.act")
    assert_one_sentence(ran)
    assert "name its address" in ran.err
    assert not (tmp_path / "bank.act").exists()
    assert_one_sentence(run("store", what, "nonsense://host"))


@pytest.mark.parametrize("words", [["backup", "{}", "copy.act"], ["backup", "bank.act", "{}"], ["bench", "{}"]])
def test_what_is_for_directories_says_so_of_an_address(run, words: list[str]) -> None:
    ran = run(*(word.format("postgresql://u:hunter2@127.0.0.1:1/bank") for word in words))
    assert_one_sentence(ran)
    assert "directory" in ran.err
    assert "://" not in ran.err


def test_an_address_is_not_taken_for_an_app(run: Callable[..., Ran]) -> None:
    assert "no://such" not in run("metrics", "no://such").err
    assert "there is no store for no:// addresses" in run("metrics", "no://such").err
