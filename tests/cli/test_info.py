"""`act-fast info` says how much a store holds."""

import json
from pathlib import Path

from act_fast import Act, Committed, Event, LogStore
from tests.support.aged import aged


class Noted(Event):
    """What happens."""


def test_info_counts_events_and_streams(run, bank: Path) -> None:
    ran = run("info", bank)
    assert ran.code == 0
    assert ["events", "7"] in ran.rows
    assert ["streams", "3"] in ran.rows


def test_info_counts_the_events_of_each_name(run, bank: Path) -> None:
    names = {row[1]: int(row[2]) for row in run("info", bank).rows if row[0] == "name"}
    assert names == {"Opened": 2, "Deposited": 2, "Withdrawn": 1, "Checked": 2}


def test_info_as_json_is_one_object(run, bank: Path) -> None:
    info = json.loads(run("info", bank, "--json").out)
    assert info["events"] == 7
    assert info["names"]["Checked"] == 2
    assert info["bytes"] > 0
    assert info["first_created"] <= info["last_created"]


def test_info_on_a_terminal_is_for_people(run_on_terminal, bank: Path) -> None:
    shown = run_on_terminal("info", bank).out
    assert "7 in 3 streams" in shown
    assert "UTC" in shown


def test_info_of_an_empty_store_has_no_times(run, tmp_path: Path) -> None:
    LogStore(tmp_path / "empty.act").close()
    info = json.loads(run("info", tmp_path / "empty.act", "--json").out)
    assert (info["events"], info["first_created"], info["last_created"]) == (0, None, None)


def test_info_of_a_store_on_several_machines_names_its_workers(run, tmp_path: Path) -> None:
    address = f"dir://{tmp_path}/log?replica={tmp_path}/replica"
    with Act(address) as app:

        @app.on(Noted, to="audit-{stream}")
        def audit(event: Committed[Noted]) -> None:
            app.stop()

        app.store.append("s-1", [Noted()])
        during: list[list[str]] = []
        app.observe("acked", lambda _: during.extend(run("info", address).rows))
        app.run()
        after = run("info", address).rows
    [worker] = [row for row in during if row[0] == "worker"]
    assert (worker[1], worker[3:]) == ("1", ["1", "all lanes"])
    assert ["generation", "1"] in during
    assert not [row for row in after if row[0] == "worker"]
    assert ["generation", "1"] in after


def test_info_says_what_is_hot_compressed_archived_and_gone_without_the_archive(
    run, run_on_terminal, tmp_path: Path
) -> None:
    aged(tmp_path).close()
    (tmp_path / "cold").rename(tmp_path / "away")
    info = json.loads(run("info", tmp_path / "shop.act", "--json").out)
    assert {form: share["events"] for form, share in info["shares"].items()} == {
        "hot": 6,
        "compressed": 10,
        "archived": 33,
    }
    assert info["archive"] == str(tmp_path / "cold")
    assert (info["pruned"], info["redacted"], info["forgotten"]) == (11, 1, 1)
    assert info["first_created"] < info["last_created"]
    rows = {row[0]: row[1:] for row in run("info", tmp_path / "shop.act").rows}
    assert rows["archived"][:2] == ["1", "33"]
    shown = run_on_terminal("info", tmp_path / "shop.act").out
    assert "33 events in 1 segment" in shown
    assert "1 subject" in shown
