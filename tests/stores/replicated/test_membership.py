"""Who is there, as records say it: joining, being heard, leaving, and being gone."""

import msgspec
import pytest

from act_fast.stores.replicated.membership import GONE_MS, Joins, Leaves, Membership, There, read

NOW = 1_000_000


def joined(membership: Membership, member: str, holder: int = 7) -> int:
    membership.take(Joins(member, f"{member}.example:1", holder, ["audit"]))
    return membership.generation


@pytest.fixture
def membership() -> Membership:
    found = Membership()
    found.pass_to(NOW)
    return found


def pass_by(membership: Membership, ms: int, step_ms: int = 1000) -> None:
    """Let time pass, with a record of somebody each second."""
    for _ in range(ms // step_ms):
        membership.pass_to(membership.now_ms + step_ms)


def test_each_that_joins_gets_a_generation_of_its_own(membership: Membership) -> None:
    assert [joined(membership, "a"), joined(membership, "b", 8)] == [1, 2]
    assert {each: found.member for each, found in membership.members.items()} == {1: "a", 2: "b"}


def test_whoever_joins_again_ends_its_former_generation(membership: Membership) -> None:
    before, after = joined(membership, "a"), joined(membership, "a")
    assert set(membership.members) == {after}
    assert not membership.hear(before)
    assert membership.hear(after)
    assert not membership.gone  # its number is that of a member again


def test_whoever_is_silent_for_too_long_is_gone_and_its_generation_never_comes_back(membership: Membership) -> None:
    silent, spoken = joined(membership, "a", 7), joined(membership, "b", 8)
    pass_by(membership, GONE_MS - 1000)
    assert membership.hear(spoken)
    membership.pass_to(membership.now_ms + 999)
    assert set(membership.members) == {silent, spoken}
    membership.pass_to(membership.now_ms + 1)
    assert set(membership.members) == {spoken}
    assert set(membership.gone) == {7}
    membership.take(There(silent))
    assert not membership.hear(silent)
    assert set(membership.members) == {spoken}


@pytest.mark.parametrize("says", ["there", "change"])
def test_a_word_or_a_change_is_a_sign_of_life(membership: Membership, says: str) -> None:
    generation = joined(membership, "a")
    for _ in range(5):
        pass_by(membership, GONE_MS - 1000)
        if says == "there":
            membership.take(There(generation))
        else:
            assert membership.hear(generation)
    assert generation in membership.members


def test_the_word_that_comes_too_late_does_not_count(membership: Membership) -> None:
    generation = joined(membership, "a")
    pass_by(membership, GONE_MS)
    membership.take(There(generation))
    assert not membership.members


def test_time_in_which_the_log_stood_still_counts_against_nobody(membership: Membership) -> None:
    first, second = joined(membership, "a"), joined(membership, "b", 8)
    membership.pass_to(NOW + 100 * GONE_MS)
    assert set(membership.members) == {first, second}
    pass_by(membership, GONE_MS)
    assert not membership.members


def test_a_record_with_an_earlier_time_does_not_turn_time_back(membership: Membership) -> None:
    generation = joined(membership, "a")
    pass_by(membership, GONE_MS - 1000)
    membership.pass_to(NOW)
    membership.pass_to(membership.now_ms + 1000)
    assert generation not in membership.members


def test_whoever_leaves_is_not_gone(membership: Membership) -> None:
    membership.take(Leaves(joined(membership, "a")))
    assert not membership.members
    assert not membership.gone


def test_changes_of_nobody_are_always_heard(membership: Membership) -> None:
    assert membership.hear(0)
    assert not membership.hear(1)


def test_the_version_changes_with_who_is_there_and_what_they_have_and_with_nothing_else(
    membership: Membership,
) -> None:
    versions = [membership.version]
    generation = joined(membership, "a")
    versions.append(membership.version)
    membership.take(There(generation, ["audit", "mail"], ["slow"]))
    versions.append(membership.version)
    assert len(set(versions)) == 3
    membership.take(There(generation))
    membership.hear(generation)
    membership.pass_to(membership.now_ms + 1000)
    assert membership.version == versions[-1]
    assert (membership.members[1].reactions, membership.members[1].lanes) == (["audit", "mail"], ["slow"])
    pass_by(membership, GONE_MS)
    assert membership.version != versions[-1]


def test_what_is_kept_of_it_comes_back_as_it_was(membership: Membership) -> None:
    joined(membership, "a")
    joined(membership, "b", 8)
    pass_by(membership, GONE_MS)
    joined(membership, "c", 9)
    assert membership.gone
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(membership), type=Membership) == membership


@pytest.mark.parametrize("body", [b"", b"{}", b'{"says":"sings"}', b'{"node":"n","replica":"r","place":1}', b"\xff"])
def test_what_is_no_word_of_a_member_is_none(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize("says", [Joins("a", "n", 1, ["r"], ["slow"]), There(3), There(3, ["r"]), Leaves(3)])
def test_what_is_said_is_read_as_it_was(says: Joins | There | Leaves) -> None:
    assert read(msgspec.json.encode(says)) == says
