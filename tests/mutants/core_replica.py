"""What applying the records of an ordered log promises."""

from typing import Final

from tests.mutants.mutation import Mutation, cargo

__all__ = ["REPLICA"]

APPLIER: Final = "rust/core/src/replica/applier.rs"
REFUSED: Final = "proposals_are_refused_for_versions_and_for_what_no_replica_takes_and_for_nothing_else"

REPLICA: Final = (
    Mutation(
        "replica-duplicate",
        "rust/core/src/replica/sessions.rs",
        "let found = seen.places.get(&number).copied();",
        "let found = seen.places.get(&number).copied().filter(|place| *place == 0);",
        (cargo("replica", "a_record_that_is_there_twice_counts_once"),),
    ),
    Mutation(
        "replica-repeats-the-last",
        APPLIER,
        "if proposed <= self.done {",
        "if proposed < self.done {",
        (cargo("replica", "the_same_records_come_to_the_same_log_however_they_are_applied"),),
    ),
    Mutation(
        "replica-skips-the-rest-of-a-record",
        APPLIER,
        "done: last_proposed(log)? };",
        "done: Proposed { index: u64::MAX, ..last_proposed(log)? } };",
        (cargo("replica", "a_full_disk_stops_a_replica_with_nothing_decided_and_room_lets_it_go_on"),),
    ),
    Mutation(
        "replica-applied-before-it-is-durable",
        APPLIER,
        "log.control.set_applied(self.ready);",
        "log.control.set_applied(self.state.place);",
        (cargo("replica", "what_could_not_be_flushed_is_not_said_to_be_applied"),),
    ),
    Mutation(
        "replica-applied-in-part",
        "rust/core/src/recovery/recover.rs",
        "let applied = scan.proposed.place.saturating_sub(1);",
        "let applied = scan.proposed.place;",
        (cargo("replica", "a_backup_of_a_replica_is_one_as_of_its_place"),),
    ),
    Mutation(
        "replica-record-checksum",
        "rust/core/src/replica/record.rs",
        "if crc != u32_at(record, CRC_AT) {",
        "if crc != u32_at(record, CRC_AT) && rules > RULES {",
        (cargo("replica", "a_record_that_cannot_be_applied_stops_a_replica_until_it_can"),),
    ),
    Mutation(
        "replica-record-of-another-store",
        APPLIER,
        "if head.store_id != self.state.store_id {",
        "if head.store_id[..0] != self.state.store_id[..0] {",
        (cargo("replica", "a_record_that_cannot_be_applied_stops_a_replica_until_it_can"),),
    ),
    Mutation(
        "replica-time-of-a-snapshot",
        "rust/core/src/write/snapshots.rs",
        "let created = if self.is_replica() { state.created }",
        "let created = if self.is_replica() { now_us().max(state.created) }",
        (cargo("replica", "times_never_run_backwards_and_snapshots_do_not_move_them"),),
    ),
    Mutation(
        "replica-size-of-a-commit",
        "rust/core/src/replica/decide.rs",
        "&& size(parts, proposal.guards.once, proposal.meta) <= segment_bytes - SPARE_BYTES",
        "&& size(parts, proposal.guards.once, proposal.meta) <= segment_bytes",
        (cargo("replica", REFUSED),),
    ),
    Mutation(
        "replica-log-behind-its-state",
        APPLIER,
        "if position < state.position {",
        "if position + 1 < state.position {",
        (cargo("replica", "a_state_that_is_damaged_or_of_another_store_or_ahead_of_the_log_is_refused"),),
    ),
    Mutation(
        "replica-order-of-proposals",
        "rust/core/src/log/scan.rs",
        "(held.proposed > self.proposed) != self.segments.replica",
        "(held.proposed >= self.proposed) != self.segments.replica",
        (cargo("lib", "log::scan::tests::a_commit_of_a_replica_that_comes_from_an_earlier_proposal_ends_the_walk"),),
    ),
)
