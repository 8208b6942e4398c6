"""Meta: who did it, on whose behalf, and what else came of the same request."""

import asyncio
import copy
import operator
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context

import pytest

from act_fast import (
    Act,
    ActionCause,
    Actor,
    Append,
    DecodeError,
    DefinitionError,
    EventCause,
    LogStore,
    Meta,
    ValidationError,
    new_correlation,
)
from act_fast._events.context import within
from act_fast._events.meta import encode_meta
from tests.support.bank import Account, Deposited

ADA = Actor("u1", "Ada", {"role": "teller"})


def test_an_event_tells_its_action_stream_and_actor(app: Act) -> None:
    event = app.acting(ADA).do(Account.open, "account-7", owner="Ada").event

    assert event is not None
    assert event.meta.causation is not None
    assert event.meta.causation.action is not None
    assert event.meta.causation.action.name == "Account.open"
    assert event.meta.causation.action.stream == "account-7"
    assert event.meta.causation.action.actor == ADA
    assert event.meta.causation.event is None


def test_acting_leaves_the_app_as_it_was(app: Act) -> None:
    app.acting(ADA)
    event = app.do(Account.open, "account-7", owner="Ada").event
    assert event is not None
    assert event.meta.causation is not None
    assert event.meta.causation.action is not None
    assert event.meta.causation.action.actor is None


def test_acting_and_expecting_go_together(app: Act) -> None:
    snapshot = app.acting(ADA).expecting(0).do(Account.open, "account-7", owner="Ada")
    event = snapshot.event
    assert event is not None
    assert event.meta.causation is not None
    assert event.meta.causation.action is not None
    assert event.meta.causation.action.actor == ADA


def test_an_actor_is_an_actor(app: Act) -> None:
    with pytest.raises(ValidationError, match="an actor is an Actor, not str"):
        app.acting("Ada")  # type: ignore[arg-type]


def test_each_do_has_a_correlation_of_its_own(app: Act) -> None:
    ids = {app.do(Account.deposit, "account-7", amount=1).event.meta.correlation for _ in range(3)}  # type: ignore[union-attr]
    assert len(ids) == 3


def test_what_is_done_in_a_context_shares_its_correlation_and_can_be_found_by_it(app: Act) -> None:
    with app.context(correlation="request-1", actor=ADA):
        app.do(Account.open, "account-1", owner="Ada")
        app.do(Account.open, "account-2", owner="Ada")
    app.do(Account.open, "account-3", owner="Ada")

    found = list(app.query(correlation="request-1"))
    assert [each.stream for each in found] == ["account-1", "account-2"]


def test_contexts_nest_and_end(app: Act) -> None:
    with app.context(correlation="outer", actor=ADA), app.context(correlation="inner") as inner:
        assert (inner.correlation, inner.actor) == ("inner", ADA)
    with app.context() as plain:
        assert (plain.correlation, plain.actor) == (None, None)


def test_an_actor_named_by_acting_comes_before_that_of_the_context(app: Act) -> None:
    with app.context(actor=Actor("u2")):
        event = app.acting(ADA).do(Account.open, "account-7", owner="Ada").event
    assert event is not None
    assert event.meta.causation is not None
    assert event.meta.causation.action is not None
    assert event.meta.causation.action.actor == ADA


def test_what_is_done_while_an_event_is_handled_names_that_event(app: Act) -> None:
    cause = EventCause("Deposited", "account-1", 7, 3)
    with within(correlation="request-1", event=cause):
        event = app.do(Account.open, "account-7", owner="Ada").event
    assert event is not None
    assert event.meta.causation is not None
    assert event.meta.causation.event == cause
    assert event.meta.correlation == "request-1"


def test_a_context_that_is_left_elsewhere_than_it_was_entered_says_so(app: Act) -> None:
    with ExitStack() as stack:
        copy_context().run(stack.enter_context, app.context(correlation="request-1"))
        with pytest.raises(DefinitionError, match="entered in one context and left in another"):
            stack.close()


def test_a_context_is_not_seen_by_other_threads(app: Act) -> None:
    seen: list[str | None] = []

    def other() -> None:
        with app.context() as here:
            seen.append(here.correlation)

    with app.context(correlation="request-1"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [None]


async def test_tasks_have_contexts_of_their_own(app: Act) -> None:
    async def request(number: int) -> str | None:
        with app.context(correlation=f"request-{number}"):
            await asyncio.sleep(0)
            event = (await asyncio.to_thread(app.do, Account.deposit, f"account-{number}", 1)).event
        assert event is not None
        return event.meta.correlation

    assert await asyncio.gather(*map(request, range(5))) == [f"request-{number}" for number in range(5)]


def test_the_correlator_can_be_ones_own() -> None:
    with Act("memory:", Account, correlator=lambda: "mine") as app:
        event = app.do(Account.deposit, "account-7", amount=1).event
    with pytest.raises(Exception, match="closed"):
        app.load(Account, "account-7")
    assert event is not None
    assert event.meta.correlation == "mine"


def test_correlation_ids_are_short_ordered_and_unique() -> None:
    ids = [new_correlation() for _ in range(10_000)]
    assert {len(each) for each in ids} == {16}
    assert ids == sorted(set(ids))


def test_correlation_ids_of_many_threads_are_unique() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [new_correlation() for _ in range(1000)], range(8)))
    assert len({each for ids in made for each in ids}) == 8000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_correlation().encode())
        os._exit(0)
    os.waitpid(child, 0)
    made = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert made[-4:] != new_correlation()[-4:]


def test_who_did_it_is_told_in_one_step(app: Act) -> None:
    snapshot = app.acting(ADA).do(Account.open, "account-7", owner="Ada")

    assert snapshot.meta.actor == ADA
    assert snapshot.meta.action == ActionCause("Account.open", "account-7", ADA)
    assert snapshot.meta.event is None
    assert [step.meta.actor for step in app.history(Account, "account-7")] == [ADA]
    assert [each.meta.actor for each in app.query()] == [ADA]


def test_where_nobody_did_anything_there_is_nothing_to_tell(app: Act) -> None:
    app.store.append("account-7", [Deposited(1)])

    for meta in (app.load(Account, "nobody").meta, app.load(Account, "account-7").meta):
        assert (meta, meta.action, meta.actor, meta.event) == (Meta(), None, None, None)


@pytest.mark.parametrize(
    ("actor", "sentence"),
    [
        (Actor(7), "an actor's id: expected `str`, got `int`"),  # type: ignore[arg-type]
        (Actor("7", name=None), "an actor's name: expected `str`, got `None`"),  # type: ignore[arg-type]
        (Actor("7", extra={"role": object()}), "an actor must be JSON"),
        (Actor("\ud800"), "an actor must be JSON"),
    ],
)
def test_an_actor_that_could_not_be_read_again_is_refused(app: Act, actor: Actor, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        app.acting(actor)
    with pytest.raises(ValidationError, match=sentence):
        app.context(actor=actor)


def test_a_correlation_is_text(app: Act) -> None:
    with pytest.raises(ValidationError, match="correlation must be text"):
        app.context(correlation=7)  # type: ignore[arg-type]


def test_a_correlator_makes_text() -> None:
    with pytest.raises(ValidationError, match="correlator must be a function that generates ids, not str"):
        Act("memory:", Account, correlator="mine")  # type: ignore[arg-type]
    with Act("memory:", Account, correlator=lambda: 7) as app:  # type: ignore[arg-type,return-value]
        with pytest.raises(DefinitionError, match="correlator= must return text"):
            app.do(Account.open, "account-7", owner="Ada")
        assert app.store.head == 0


def test_a_meta_that_could_not_be_read_again_is_refused(app: Act) -> None:
    wrong = Meta(correlation=7)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"meta\.correlation: expected `str \| None`, got `int`"):
        app.store.append("account-7", [Deposited(1)], meta=wrong)
    with pytest.raises(ValidationError, match=r"meta\.correlation: expected `str \| None`, got `int`"):
        app.store.append_many([Append("account-7", [Deposited(1)])], meta=wrong)
    assert app.store.head == 0


def test_a_meta_that_something_else_has_written_is_told(app: Act) -> None:
    with LogStore.memory() as store:
        store._log.append("account-7", [("Deposited", b'{"amount": 1}')], None, b'{"correlation": 7}')
        with pytest.raises(DecodeError, match="a commit's meta does not decode: correlation: expected"):
            list(store.load("account-7"))


def test_what_events_without_meta_share_cannot_be_changed_but_is_like_any_other(app: Act) -> None:
    app.store.append("account-7", [Deposited(1)])
    app.store.append("account-7", [Deposited(2)])
    first, second = app.store.query()

    assert first.meta is second.meta
    for change in (
        lambda: first.meta.extra.update(a=1),
        lambda: first.meta.extra.setdefault("a", 1),
        lambda: operator.setitem(first.meta.extra, "a", 1),
        lambda: operator.ior(first.meta.extra, {"a": 1}),
    ):
        with pytest.raises(TypeError, match="cannot be changed; copy"):
            change()
    assert first.meta == Meta() == second.meta
    for copied in (
        copy.copy(first.meta.extra),
        copy.deepcopy(first.meta).extra,
        pickle.loads(pickle.dumps(first)).meta.extra,
    ):
        copied["a"] = 1
    assert first.meta.extra == {}
    assert encode_meta(first.meta) == encode_meta(Meta())
