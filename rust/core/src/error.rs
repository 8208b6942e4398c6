//! What can go wrong, each with a sentence for people and fields for programs.

use std::io;

/// Everything the engine refuses or fails to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument is not what it must be. Nothing was changed.
    #[error("{0}")]
    Invalid(String),
    /// The stream is not at the version the append expected. Nothing was written.
    #[error("stream {stream:?} was expected at version {expected} but is at version {actual}")]
    Conflict {
        /// The stream that was to be appended to.
        stream: String,
        /// The version the caller expected.
        expected: u64,
        /// The version the stream has.
        actual: u64,
    },
    /// An event that a condition excludes is there. Nothing was written.
    #[error("an event at position {position}, after {after}, is one that must not be there")]
    Condition {
        /// The position behind which there must be no such event.
        after: u64,
        /// That of the newest one.
        position: u64,
    },
    /// The key of the append was used before. Nothing was written.
    #[error("the key was used before, for the commit at position {first}")]
    Repeated {
        /// The position of that commit's first event.
        first: u64,
        /// That of its last event.
        last: u64,
    },
    /// Bytes on disk are not what was written.
    #[error("{message} (file {file}, byte {offset})")]
    Corrupt {
        /// The damaged file, relative to the store's directory.
        file: String,
        /// Where in that file.
        offset: u64,
        /// The first position that cannot be read, where it is known.
        position: Option<u64>,
        /// What was found and what to do.
        message: String,
    },
    /// An archived log file cannot be read where it is. Nothing is lost by that.
    #[error("{message}")]
    Unavailable {
        /// The log file, relative to the store's directory.
        file: String,
        /// The archive's address.
        address: String,
        /// What happened and what to do.
        message: String,
    },
    /// A block of an archived log file is not at hand, and cannot be fetched with a lock in hand. Never leaves the engine.
    #[error("a part of the archived log file {number} is not at hand")]
    Absent {
        /// The log file.
        number: u64,
        /// Its block.
        block: usize,
    },
    /// The disk, or a limit of the store, is full. Nothing was written.
    #[error("{0}")]
    Full(String),
    /// Another process holds what is needed, in a way that waiting does not change.
    #[error("{0}")]
    Locked(String),
    /// A write or a flush failed earlier: the store takes no more appends until it is opened again.
    #[error("{0}")]
    Failed(String),
    /// What was asked for has been written, but it is not known whether it stays.
    #[error("{0}")]
    Unknown(String),
    /// A record of the ordered log, or what is kept of them, is not what it must be. It was not applied.
    #[error("{0}")]
    Record(String),
    /// Not a store, or one of a format that this version cannot read.
    #[error("{0}")]
    Format(String),
    /// What is to be restored is not what it must be. Nothing was changed.
    #[error("{file}, {unit} {number}: {message}; nothing was changed")]
    Source {
        /// The file.
        file: String,
        /// What is counted: lines or rows.
        unit: &'static str,
        /// Which of them, from 1.
        number: u64,
        /// What is wrong with it.
        message: String,
    },
    /// The handle was closed, or belongs to the process this one was forked from.
    #[error("{0}")]
    Closed(String),
    /// Not at once; only for callers that asked not to wait.
    #[error("this would have to wait")]
    WouldWait,
    /// Any other refusal of the operating system.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn corrupt(file: impl Into<String>, offset: u64, position: Option<u64>, what: &str) -> Self {
        Self::Corrupt { file: file.into(), offset, position, message: what.to_owned() }
    }

    /// Something failed when the commit had been written already.
    pub(crate) fn unknown(error: &Self) -> Self {
        Self::Unknown(format!(
            "{error}; this happened after the commit was written, so it is not known whether it is there: load the stream \
             again before you retry"
        ))
    }

    /// Something was put in its place, but it is not known whether that survives a power cut.
    pub(crate) fn unsynced(what: &str, error: &io::Error) -> Self {
        Self::Unknown(format!(
            "{what} is complete and in its place, but syncing the folder failed ({error}), so it is not known whether it \
             survives a power cut"
        ))
    }

    /// The error for an answer of the operating system.
    #[must_use]
    pub fn of_system(what: &str, error: io::Error) -> Self {
        told(error, || what.to_owned())
    }

    /// The error for using, in a forked child, what its parent opened.
    #[must_use]
    pub fn forked() -> Self {
        Self::Closed(
            "this store was opened by the process that this one was forked from; open it again in the child".to_owned(),
        )
    }

    /// A file of an open store is no longer where it was.
    pub(crate) fn displaced(store: &str) -> Self {
        Self::Failed(format!(
            "the store at {store} has been deleted, moved or replaced, so it takes no more appends; open it again"
        ))
    }

    pub(crate) fn index_damaged(file: &str, offset: u64) -> Self {
        Self::corrupt(file, offset, None, "the index is damaged; rebuild it from the log with rebuild_index()")
    }
}

/// Turn what the operating system said into an error that names what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| told(source, what))
    }
}

fn told(source: io::Error, what: impl FnOnce() -> String) -> Error {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Error::Full(
            format!("{}: {source}; nothing was written, and you can still read the store; free some space", what()),
        ),
        io::ErrorKind::OutOfMemory => Error::Io {
            what: format!("{} (this process has no room for another mapping: ulimit -v, vm.max_map_count)", what()),
            source,
        },
        _ => Error::Io { what: what(), source },
    }
}
