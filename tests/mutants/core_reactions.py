"""What the core's reactions promise: tokens, watermarks, and files that are flushed and checked."""

from typing import Final

from tests.mutants.mutation import Mutation, cargo

__all__ = ["REACTIONS"]

REACTIONS: Final = (
    Mutation(
        "token",
        "rust/core/src/reactions/finish.rs",
        "if target.token != outcome.token || target.leased_until_ms == 0 {",
        "if target.leased_until_ms == 0 {",
        (
            cargo("reactions", "an_outcome_of_a_lease_that_was_lost_is_dropped_and_reported"),
            cargo("simulation"),
        ),
    ),
    Mutation(
        "lease-that-has-ended",
        "rust/core/src/reactions/finish.rs",
        "if target.token != outcome.token || target.leased_until_ms == 0 {",
        "if target.token != outcome.token {",
        (
            cargo("reactions"),
            cargo("simulation"),
            cargo("reactions_budget"),
        ),
    ),
    Mutation(
        "token-of-a-claim",
        "rust/core/src/reactions/claim.rs",
        "target.token = target.token.wrapping_add(1);",
        "target.token = target.token.max(1);",
        (cargo("reactions", "an_outcome_of_a_lease_that_was_lost_is_dropped_and_reported"),),
    ),
    Mutation(
        "token-of-a-renewal",
        "rust/core/src/reactions/claim.rs",
        "let own = target.token == *token && target.leased_until_ms != 0;",
        "let own = target.leased_until_ms != 0 && *token != 0;",
        (
            cargo("reactions"),
            cargo("simulation"),
        ),
    ),
    Mutation(
        "token-of-a-reset",
        "rust/core/src/reactions/administer.rs",
        "token: target.token.wrapping_add(1),",
        "token: target.token,",
        (
            cargo("reactions", "reset_delivers_everything_again_and_fences_off_who_holds_the_lease"),
            cargo("simulation"),
        ),
    ),
    Mutation(
        "watermark-advance",
        "rust/core/src/reactions/finish.rs",
        "                self.advance(held, done)?;\n",
        "                let _ = held;\n",
        (cargo("reactions", "an_event_is_delivered_once_to_each_target_it_concerns_and_in_order"),),
    ),
    Mutation(
        "watermark-of-a-target",
        "rust/core/src/reactions/finish.rs",
        "                target.watermark = target.watermark.max(done);\n",
        "",
        (
            cargo("reactions", "lagging_targets_come_by_priority"),
            cargo("reactions_budget"),
        ),
    ),
    Mutation(
        "watermark-never-back",
        "rust/core/src/reactions/finish.rs",
        "if done > subscription.done {",
        "if done != subscription.done {",
        (
            cargo("reactions"),
            cargo("simulation"),
            cargo("reactions_of_programs"),
        ),
    ),
    Mutation(
        "watermark-below-what-was-found-later",
        "rust/core/src/reactions/finish.rs",
        "            let done = done.min(part.known_to);\n",
        "",
        (cargo("reactions_of_programs", "a_lease_does_not_answer_for_what_was_found_after_it_was_given"),),
    ),
    Mutation(
        "cell-checksum",
        "rust/core/src/reaction_files/cell.rs",
        "Ok(line::sound(&content, self.0.address(at)).then_some(content))",
        "Ok((content != blank()).then_some(content))",
        (cargo("reactions_repair"),),
    ),
    Mutation(
        "cell-torn",
        "rust/core/src/reaction_files/cell.rs",
        "if content != blank() && !line::sound(&content, self.0.address(at)) {",
        "if content != blank() && content == blank() {",
        (cargo("reactions_repair"),),
    ),
    Mutation(
        "damaged-file-told",
        "rust/core/src/reaction_files/files.rs",
        "                    damaged |= cleared;\n",
        "                    let _ = cleared;\n",
        (cargo("reactions_repair"),),
    ),
    Mutation(
        "lost-file-told",
        "rust/core/src/reaction_files/files.rs",
        "Ok((files, damaged || (made > 0 && !fresh)))",
        "Ok((files, damaged && !fresh))",
        (cargo("reactions_repair"),),
    ),
    Mutation(
        "reactions-flush",
        "rust/core/src/reactions/mod.rs",
        "        let files = Arc::clone(&self.shared().files);\n        files.flush()",
        "        self.log.check_open()",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "targets-flush",
        "rust/core/src/reaction_files/files.rs",
        "        self.targets.flush()?;\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "subscriptions-flush",
        "rust/core/src/reaction_files/files.rs",
        "        self.subscriptions.flush()?;\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "cursors-flush",
        "rust/core/src/reaction_files/files.rs",
        "        self.cursors.flush()?;\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "counts-flush",
        "rust/core/src/reaction_files/files.rs",
        "        self.counts.flush()\n",
        "        Ok(())\n",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "texts-flush",
        "rust/core/src/reaction_files/files.rs",
        "        self.texts.flush()?;\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "skipped-flush",
        "rust/core/src/reactions/skip.rs",
        "        self.files.skipped.flush()?;\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "skip-flush",
        "rust/core/src/reactions/skip.rs",
        "        self.flush()?;\n        // Workers",
        "        // Workers",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "flush-at-the-end",
        "rust/core/src/reactions/mod.rs",
        "            let _ = self.flush();\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "flush-now-and-then",
        "rust/core/src/reactions/finish.rs",
        "        self.flush_now_and_then()?;\n",
        "",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "names-of-reaction-files",
        "rust/core/src/reaction_files/files.rs",
        'disk.sync_folder(FOLDER).and_then(|()| disk.sync_folder("")).doing',
        "Ok::<(), std::io::Error>(()).doing",
        (cargo("recovery", "what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed"),),
    ),
    Mutation(
        "copy-flush",
        "rust/core/src/reaction_files/copy.rs",
        "    copied.flush()?;\n",
        "",
        (cargo("exchange", "a_power_cut_leaves_a_whole_backup_or_none"),),
    ),
)
