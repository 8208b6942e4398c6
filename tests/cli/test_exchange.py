"""`act-fast backup`, `export` and `restore`: whole logs come and go."""

from pathlib import Path

import pytest

from act_fast import LogStore


def test_a_backup_is_a_store_like_any_other(run, bank: Path, tmp_path: Path) -> None:
    ran = run("backup", bank, tmp_path / "copy.act")
    assert (ran.code, ran.err) == (0, "")
    assert "7 events in" in ran.out
    assert run("verify", tmp_path / "copy.act").out.startswith("healthy")
    ran = run("backup", bank, tmp_path / "copy.act")
    assert ran.code == 2
    assert "is never replaced" in ran.err


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_what_is_exported_can_be_restored(run, bank: Path, tmp_path: Path, format: str) -> None:
    source, path = tmp_path / f"all.{format}", tmp_path / "new.act"
    ran = run("export", bank, source)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{source}: 7 events\n"
    ran = run("restore", path, source, "--dry-run")
    assert (ran.code, "would be restored" in ran.out, path.exists()) == (0, True, False)
    ran = run("restore", path, source)
    assert (ran.code, ran.err) == (0, "")
    assert "7 events" in ran.out
    ran = run("restore", path, source)
    assert (ran.code, "--replace" in ran.err) == (2, True)
    assert run("restore", path, source, "--replace").code == 0, "in the place of the one that is there"
    with LogStore(path, read_only=True) as new, LogStore(bank, read_only=True) as old:
        assert list(new.query()) == list(old.query())


def test_conditions_hold_for_exports(run, bank: Path, tmp_path: Path) -> None:
    ran = run("export", bank, tmp_path / "some.jsonl", "--after", "5")
    assert ran.out.endswith(": 2 events\n")
    assert len((tmp_path / "some.jsonl").read_text().splitlines()) == 2
    assert run("export", bank, tmp_path / "some.jsonl").code == 2
    assert run("export", bank, tmp_path / "some.jsonl", "--overwrite").code == 0
    assert run("export", bank, tmp_path / "parts", "--partition-by", "name").code == 0
    assert sorted(each.name for each in (tmp_path / "parts").iterdir())[0].startswith("name=")


def test_a_wrong_export_is_told_with_its_line_and_gives_exit_code_1(run, bank: Path, tmp_path: Path) -> None:
    source = tmp_path / "all.csv"
    run("export", bank, source)
    source.write_text(source.read_text()[:-3])
    ran = run("restore", bank, source, "--replace")
    assert ran.code == 1
    assert f"{source}, line 8:" in ran.err
    assert "nothing was changed" in ran.err
    assert "7 events" in run("verify", bank).out


def test_a_log_is_compressed_and_decompressed(run, bank: Path) -> None:
    ran = run("compress", bank, "--dry-run")
    assert (ran.code, ran.out) == (0, f"{bank}: 0 segments would be compressed; nothing to do\n")
    ran = run("compress", bank, "--seal")
    assert (ran.code, ran.err) == (0, "")
    assert "1 segment compressed; " in ran.out
    assert run("info", bank).out.splitlines()[8] == "compressed\t1"
    assert run("verify", bank).out.startswith("healthy")
    ran = run("decompress", bank, "--json")
    assert ran.out.startswith('{"segments":1,"bytes_before":')
    assert run("compress", "postgresql://host/db").code == 2


def test_a_log_is_archived_and_brought_back(run, bank: Path, tmp_path: Path) -> None:
    cold = tmp_path / "cold"
    run("compress", bank, "--seal")
    ran = run("archive", bank, "--to", cold, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert f"1 segment would be archived to {cold}; " in ran.out
    ran = run("archive", bank, "--to", cold, "--older-than", "1")
    assert ran.out == f"{bank}: 0 segments archived to {cold}; nothing to do\n"
    ran = run("archive", bank, "--to", cold)
    assert f"1 segment archived to {cold}; " in ran.out
    assert "archived\t1" in run("info", bank).out.splitlines()
    assert run("verify", bank).out.startswith("healthy")
    (tmp_path / "cold").rename(tmp_path / "away")
    ran = run("verify", bank)
    assert ran.code != 0
    assert "log/00000000.seg is archived at" in ran.err
    ran = run("sql", bank, "select data from events")
    assert ran.code != 0
    assert ran.err.startswith("act-fast: log/00000000.seg is archived at")
    (tmp_path / "away").rename(tmp_path / "cold")
    ran = run("unarchive", bank, "--remove", "--json")
    assert ran.out.startswith('{"to":"')
    assert not list(cold.glob("*/*.seg"))
    assert run("archive", "postgresql://host/db", "--to", cold).code == 2
