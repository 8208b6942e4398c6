"""In a notebook: values show as tables, a cell that runs again replaces its reactions, and `%%act` asks in SQL."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Act, Event, State

BEGIN = """
from act_fast import Act, Event, State
class Sold(Event):
    product: str
    cents: int
class Till(State, events=[Sold]):
    product: str = ""
app = Act("memory:", Till)
"""

REACTION = """
@app.on(Sold, name="mail")
def mail(event):
    print("{text}", event.data.cents)
"""

SHELL = """
import json, sys, warnings
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(history_length=0)
for cell in json.load(sys.stdin):
    ran = shell.run_cell(cell)
    if not ran.success:
        print("FAILED", type(ran.error_in_exec).__name__, ran.error_in_exec)
    if ran.result is not None:
        formats, _ = shell.display_formatter.format(ran.result)
        print("HTML", formats.get("text/html"))
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Runs cells in IPython, and gives what they print and what is logged."""

    def run(*cells: str) -> tuple[str, str]:
        ran = subprocess.run(
            [sys.executable, "-c", SHELL],
            input=json.dumps(cells),
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "IPYTHONDIR": str(tmp_path / "ipython"), "HOME": str(tmp_path)},
        )
        return ran.stdout, ran.stderr

    return run


def test_a_cell_that_runs_again_replaces_its_reaction_with_a_note(notebook: Callable[..., tuple[str, str]]) -> None:
    sell = 'app.store.append("till-1", [Sold("tea", {})]); _ = app.settle()'
    told, logged = notebook(
        BEGIN,
        REACTION.format(text="first"),
        sell.format(1),
        REACTION.format(text="second"),
        sell.format(2),
        "print([each.name for each in app.reactions], [each.lag for each in app.targets()])",
    )
    assert told.splitlines()[:2] == ["first 1", "second 2"]
    assert "['mail'] [0]" in told
    assert "reaction 'mail' was declared again" in logged
    assert "FAILED" not in told


def test_others_keep_their_place_when_one_is_replaced(notebook: Callable[..., tuple[str, str]]) -> None:
    other = REACTION.replace("mail", "other").format(text="other")
    told, _ = notebook(
        BEGIN,
        REACTION.format(text="first"),
        other,
        'app.store.append("till-1", [Sold("tea", 1)]); _ = app.settle()',
        REACTION.format(text="second"),
        'app.store.append("till-1", [Sold("tea", 2)]); _ = app.settle()',
    )
    assert sorted(told.splitlines()[:2]) == ["first 1", "other 1"]
    assert sorted(told.splitlines()[2:4]) == ["other 2", "second 2"]


def test_two_functions_of_one_name_are_still_an_error(notebook: Callable[..., tuple[str, str]]) -> None:
    told, _ = notebook(
        BEGIN, REACTION.format(text="first"), REACTION.format(text="second").replace("def mail", "def post")
    )
    assert "FAILED DefinitionError two reactions are called 'mail'" in told


def test_a_replacement_that_does_not_fit_leaves_the_old_one(notebook: Callable[..., tuple[str, str]]) -> None:
    told, _ = notebook(
        BEGIN,
        REACTION.format(text="first"),
        REACTION.format(text="second").replace('name="mail"', 'name="mail", lane="none"'),
        'app.store.append("till-1", [Sold("tea", 1)]); _ = app.settle()',
    )
    assert "FAILED DefinitionError" in told
    assert "first 1" in told


def test_a_module_is_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(BEGIN + REACTION.format(text="first") + REACTION.format(text="second"))
    ran = subprocess.run([sys.executable, "twice.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "two reactions are called 'mail'" in ran.stderr


def test_a_question_in_a_cell_is_asked_with_variables_and_shown_as_a_table(
    notebook: Callable[..., tuple[str, str]],
) -> None:
    told, _ = notebook(
        BEGIN,
        'app.store.append("till-1", [Sold("<b>tea</b>", 3), Sold("cake", 5)]); least = 1',
        "%load_ext act_fast.jupyter",
        "%%act app\nselect product, cents from sold where cents > $least order by cents",
        "%act app select count(*) as n from sold",
        "%act nothing select 1",
        "from act_fast import connect\nbank = connect(app)",
        "%act bank select range as n from range(60)",
        "%unload_ext act_fast.jupyter",
    )
    assert "<th>product</th><th>cents</th>" in told
    assert "<td>&lt;b&gt;tea&lt;/b&gt;</td><td>3</td>" in told
    assert "<th>n</th></tr></thead><tbody><tr><td>2</td>" in told
    assert "the first 50 rows" in told
    assert told.count("<td>49</td>") == 1
    assert "<td>50</td>" not in told
    assert "nothing is NoneType; %%act asks an Act" in told


class Noted(Event):
    text: str


class Note(State, events=[Noted]):
    text: str = ""


def test_a_snapshot_and_a_target_show_as_tables_in_which_nothing_is_markup() -> None:
    with Act("memory:", Note) as app:
        app.on(Noted, to="<i>{stream}", name="audit", retries=0)(lambda event: 1 / 0)
        app.store.append("<script>", [Noted("<script>alert(1)</script>" + "x" * 1000)])
        app.settle()
        snapshot = app.load(Note, "<script>")._repr_html_()
        target = next(app.targets())._repr_html_()
    for shown in (snapshot, target):
        assert "<script" not in shown
        assert "<i>" not in shown
        assert shown.startswith("<table>")
    assert "<th>version</th><td>1</td>" in snapshot
    assert "&lt;script&gt;alert(1)" in snapshot
    assert len(snapshot) < 1000
    assert "<th>state</th><td>blocked</td>" in target
    assert "ZeroDivisionError" in target
    assert "holder" not in target
