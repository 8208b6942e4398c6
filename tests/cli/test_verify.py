"""`act-fast verify` says whether every byte is as it was written."""

import json
from pathlib import Path


def damage(store: Path) -> None:
    """Change one letter of a payload in the middle of the log."""
    for path in sorted(store.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if (at := content.find(b'"Bob"')) >= 0:
            path.write_bytes(content[: at + 1] + b"R" + content[at + 2 :])
            return
    raise AssertionError("no file of the store holds the payload")


def test_a_healthy_store_is_said_to_be_healthy(run, bank: Path) -> None:
    ran = run("verify", bank)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("healthy")
    assert "7 events" in ran.out


def test_damage_is_named_with_its_place_and_gives_exit_code_1(run, bank: Path) -> None:
    damage(bank)
    ran = run("verify", bank)
    assert ran.code == 1
    file, offset, *_ = ran.rows[0]
    assert (bank / file).is_file()
    assert int(offset) > 0
    assert ran.out.splitlines()[-1].startswith("DAMAGED")


def test_the_report_as_json_names_each_problem(run, bank: Path) -> None:
    damage(bank)
    ran = run("verify", bank, "--json")
    report = json.loads(ran.out)
    assert ran.code == 1
    assert {"file", "offset", "position", "message"} <= report["problems"][0].keys()


def test_a_healthy_report_as_json_has_no_problems(run_here, bank: Path) -> None:
    ran = run_here("verify", bank, "--json")
    assert (ran.code, json.loads(ran.out)["problems"]) == (0, [])


def test_verify_on_a_terminal_ends_with_its_verdict(run_on_terminal, bank: Path) -> None:
    assert "healthy" in run_on_terminal("verify", bank).out.rstrip().splitlines()[-1]


def test_verify_on_a_terminal_says_what_is_damaged(run_on_terminal, bank: Path) -> None:
    damage(bank)
    ran = run_on_terminal("verify", bank)
    assert ran.code == 1
    assert "at byte" in ran.out
    assert "DAMAGED" in ran.out
