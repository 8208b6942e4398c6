"""`act-fast inspect` and `act-fast diagram` as commands."""

import re
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from act_fast import Act, Event, MissingExtraError, State
from act_fast.cli import main
from act_fast.inspector import inspector
from act_fast.inspector.drawing.diagram import diagram_of
from act_fast.inspector.structure import structure_of
from examples.shop.app import app_at

COMMAND = Path(sys.executable).with_name("act-fast")
PACKAGE = Path(main.__code__.co_filename).parents[1]


def test_it_prints_an_address_that_works_once_and_tells_of_news(own_path: Path) -> None:
    command = [COMMAND, "inspect", str(own_path), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stderr.readline())
            assert address is not None
            base = address[0].partition("/?")[0]
            with httpx.Client(base_url=base, trust_env=False, timeout=60, follow_redirects=True) as client:
                assert client.get(address[0]).status_code == 200
                with client.stream("GET", "/live") as news, app_at(str(own_path)) as app:
                    told = news.iter_lines()
                    head = app.store.head
                    assert next(told) == f'data: {{"head":{head}}}'
                    app.store.append("order-9", [("Cancelled", b'{"reason":"x"}')])
                    assert next(line for line in told if f'"head":{head + 1}' in line)
            assert httpx.get(address[0], trust_env=False, timeout=60).status_code == 401
        finally:
            server.terminate()


def test_a_port_that_is_taken_is_told(own_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["inspect", str(own_path), "--port", str(port)]) == 2
    told = f"act-fast: port {port} is in use; pass another --port, or --port 0 for a free one\n"
    assert capsys.readouterr().err == told


def test_a_port_that_there_is_none_is_refused(own_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", str(own_path), "--port", "65536"])
    assert "65536 is not a port; ports end at 65535" in capsys.readouterr().err


def test_a_class_without_a_docstring_has_none_of_its_base() -> None:
    class Noted(Event):
        text: str

    class Note(State, events=[Noted]):
        text: str = ""

    class Told(State, events=[Noted]):
        """What was told.

        At length.
        """

        text: str = ""

    with Act("memory:", Note) as app, Act("memory:", Told) as other:
        structure = structure_of(app)
        assert [each.doc for each in (*structure.states, *structure.events)] == ["", ""]
        assert [each.doc for each in structure_of(other).states] == ["What was told."]


def test_the_diagram_of_an_app_is_a_picture_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagram", "examples.shop.app:Order"]) == 0
    picture = ElementTree.fromstring(capsys.readouterr().out)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    words = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Order", "confirm_payment()", "Paid", "cents: int"} <= set(words)


def test_the_structure_of_an_app_tells_what_leads_where(shop_path: Path) -> None:
    with app_at(str(shop_path)) as app:
        structure = structure_of(app)
        assert diagram_of(structure).count('class="cause cause-action"') == 7
    actions = {action.name: action for state in structure.states for action in state.actions}
    assert actions["ship"].events == ["Shipped"]
    assert actions["ship"].requires == ["still_open"]
    reactions = {each.name: each for each in structure.reactions}
    assert (reactions["mail"].events, reactions["mail"].to) == (["Opened", "Shipped"], "mail-{stream}")
    assert reactions["Turnover"].projection
    assert not reactions["parcel"].projection


def test_what_it_needs_is_named_where_it_is_missing(own_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"needs jinja2, .*'act-fast\[inspect\]'"):
        inspector(str(own_path))


def test_the_script_is_the_one_that_was_published_with_its_licence() -> None:
    import hashlib

    static = PACKAGE / "inspector" / "static"
    script = (static / "htmx.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == (static / "htmx.sha256").read_text().split()[0]
    assert "Zero-Clause BSD" in (static / "htmx.LICENSE").read_text()


def test_all_that_is_sent_to_browsers_stays_small() -> None:
    files = [each for each in (PACKAGE / "inspector").rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    assert sum(each.stat().st_size for each in files) < 600_000
