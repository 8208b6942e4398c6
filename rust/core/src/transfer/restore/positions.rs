//! Which position an event has now that had another one where it comes from.

/// Runs of positions that went on side by side: a whole export is one run.
#[derive(Debug, Default)]
pub(super) struct Positions {
    runs: Vec<Run>,
    /// Whether rows state their positions; None before the first.
    stated: Option<bool>,
}

#[derive(Debug)]
struct Run {
    from: u64,
    to: u64,
    len: u64,
}

impl Positions {
    /// Note where the event that is now at `to` was.
    pub(super) fn add(&mut self, stated: Option<u64>, to: u64) -> Result<(), &'static str> {
        if *self.stated.get_or_insert(stated.is_some()) != stated.is_some() {
            return Err("some events state their `position` and others do not; give it for all or for none");
        }
        let from = stated.unwrap_or(to);
        match self.runs.last_mut() {
            _ if from == 0 => Err("`position` is 0; positions start at 1"),
            _ if i64::try_from(from).is_err() => Err("`position` is larger than any that a log can have"),
            Some(run) if from < run.from + run.len => {
                Err("its `position` is not above that of the event before it; sort the events by position")
            }
            Some(run) if from == run.from + run.len => {
                run.len += 1;
                Ok(())
            }
            _ => {
                self.runs.push(Run { from, to, len: 1 });
                Ok(())
            }
        }
    }

    /// Where an event is now; None for one that has not come.
    pub(super) fn of(&self, from: u64) -> Option<u64> {
        let at = self.runs.partition_point(|run| run.from <= from).checked_sub(1)?;
        let run = &self.runs[at];
        (from < run.from + run.len).then(|| run.to + (from - run.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_position_that_no_log_can_have_is_refused() {
        let mut positions = Positions::default();
        assert_eq!(positions.add(Some(i64::MAX as u64), 1), Ok(()));
        assert!(positions.add(Some(i64::MAX as u64), 2).is_err());
        assert!(positions.add(Some(u64::MAX), 2).is_err());
        assert_eq!(positions.of(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn every_position_is_found_and_no_other(found in proptest::collection::btree_set(1u64..200, 1..100)) {
            let mut positions = Positions::default();
            for (position, to) in found.iter().zip(1..) {
                prop_assert_eq!(positions.add(Some(*position), to), Ok(()));
            }
            for from in 0..210 {
                let expected = found.iter().position(|one| *one == from).map(|at| at as u64 + 1);
                prop_assert_eq!(positions.of(from), expected);
            }
        }
    }
}
