"""What sharing out targets promises: whose they are, and when others may have them."""

from typing import Final

from tests.mutants.mutation import Mutation, cargo

__all__ = ["SHARE"]

FILE: Final = "rust/core/src/reactions/share.rs"
TARGET: Final = "reactions_share"

SHARE: Final = (
    Mutation(
        "share-all-are-ones-own",
        FILE,
        "if share.owner(&known.name, may).is_none_or(|owner| owner == own) {",
        "if share.owner(&known.name, may).is_none_or(|owner| owner == own || owner > 0) {",
        (cargo(TARGET, "each_program_claims_what_belongs_to_it"),),
    ),
    Mutation(
        "share-whatever-reactions-a-member-has",
        FILE,
        "member.works_on(name_of_lane) && reactions.iter().all(has)",
        "member.works_on(name_of_lane) || reactions.iter().all(has)",
        (cargo(TARGET, "a_target_belongs_to_those_that_have_its_reactions_and_its_lane"),),
    ),
    Mutation(
        "share-others-targets-are-never-late",
        FILE,
        "if until_ms > self.uptime_ms {",
        "if until_ms < u64::MAX {",
        (cargo(TARGET, "what_another_has_not_leased_in_time"),),
    ),
    Mutation(
        "share-late-although-the-owner-had-it",
        FILE,
        "Standing::Others { until_ms, token } if token == target.token => until_ms,",
        "Standing::Others { until_ms, token } if token <= target.token => until_ms,",
        (cargo(TARGET, "the_time_to_be_late_begins_again_when_the_owner_moves_on"),),
    ),
    Mutation(
        "share-the-gone-keep-their-leases",
        FILE,
        "!self.sharing.share.gone.is_empty() && self.sharing.share.gone.contains(&holder)",
        "self.sharing.share.gone.is_empty() && self.sharing.share.gone.contains(&holder)",
        (cargo(TARGET, "the_leases_of_a_holder_that_is_gone_are_over_at_once"),),
    ),
    Mutation(
        "share-what-was-abandoned-still-counts",
        FILE,
        "let token = target.token.wrapping_add(1);",
        "let token = target.token.wrapping_add(0);",
        (cargo(TARGET, "what_was_abandoned_does_not_count_and_is_free_for_others"),),
    ),
    Mutation(
        "share-all-correlate",
        FILE,
        "self.sharing.correlates |= self.uptime_ms >= since + PATIENCE_MS;",
        "self.sharing.correlates |= self.uptime_ms >= since;",
        (cargo(TARGET, "one_program_correlates_for_all"),),
    ),
    Mutation(
        "share-nobody-helps-the-one-that-correlates",
        FILE,
        "self.sharing.window.map(|(_, since)| (since + PATIENCE_MS).saturating_sub(uptime_ms))",
        "self.sharing.window.map(|(_, since)| (since + PATIENCE_MS).saturating_add(uptime_ms))",
        (cargo(TARGET, "one_program_correlates_for_all"),),
    ),
    Mutation(
        "share-what-was-taken-over-is-waited-for-each-time",
        FILE,
        "self.sharing.stolen.extend(targets);",
        "self.sharing.stolen.retain(|target| targets.contains(target));",
        (cargo(TARGET, "what_was_taken_over_once_is_not_waited_for_again"),),
    ),
)
