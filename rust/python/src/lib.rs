//! Binds the engine to Python: converts names, numbers and bytes, and nothing else.

mod appended;
mod arguments;
mod columns;
mod copied;
mod correlation;
mod errors;
mod filter;
mod fold;
mod foreign;
mod groups;
mod guards;
mod handle;
mod log;
mod mirror;
mod place;
mod progress;
mod query;
mod reactions;
mod replica;
mod restoring;
mod rewriting;
mod rows;
mod shelf;
mod stats;
mod verify;

/// What the compiled core offers.
#[pyo3::pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::appended::Appended;
    #[pymodule_export]
    use crate::columns::{Columns, StateColumns, StreamColumns};
    #[pymodule_export]
    use crate::correlation::correlation;
    #[pymodule_export]
    use crate::filter::is_pattern;
    #[pymodule_export]
    use crate::fold::{Declaration, Group, Replay};
    #[pymodule_export]
    use crate::foreign::{Pattern, check_commit, check_guards, check_name};
    #[pymodule_export]
    use crate::groups::Groups;
    #[pymodule_export]
    use crate::log::Log;
    #[pymodule_export]
    use crate::mirror::Mirror;
    #[pymodule_export]
    use crate::query::Query;
    #[pymodule_export]
    use crate::reactions::Reactions;
    #[pymodule_export]
    use crate::replica::{Applier, body_record, commits_record, genesis_record, read_genesis, record_head};
    #[pymodule_export]
    use crate::restoring::Restoring;
    #[pymodule_export]
    use crate::verify::verify_path;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Now, while nothing is open yet: a fork that has begun does not know of handlers that come later.
        let _ = act_fast_core::watch_forks();
        crate::shelf::register();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
