"""A reaction that holds because the targets of an event cannot be found, from the command line."""

from pathlib import Path

from act_fast import Act, Committed, Event, LogStore
from tests.support.heard import Heard


class Paid(Event):
    number: int


def test_a_reaction_that_holds_is_seen_explained_and_unblocked(run, tmp_path: Path) -> None:
    path, broken, heard = tmp_path / "store", {2}, Heard()

    def target_of(event: Committed[Paid]) -> str:
        if event.data.number in broken:
            raise ValueError("broken")
        return "q"

    with LogStore(path) as store, Act(store) as app:
        app.on(Paid, to=target_of, name="payments", retries=2, backoff=0)(heard)
        for number in (1, 2, 3):
            store.append("s", [Paid(number)])
        app.settle()
        why = run("why", path, "payments")
        assert why.code == 1
        assert "it is blocked at position 2, after 3 attempts: ValueError: broken" in why.out
        why = run("why", path, "q")
        assert "the targets of the event at position 2 cannot be found: ValueError: broken" in why.out
        assert f"act-fast unblock {path} payments" in why.out
        assert '"payments"' in run("targets", path, "--json").out
        broken.clear()
        assert run("unblock", path, "payments").out == "1 target unblocked\n"
        app.settle()
        assert heard.positions == [1, 2, 3]
        assert run("why", path, "q").code == 0
