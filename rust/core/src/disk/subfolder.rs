//! A folder of a disk, as a disk of its own.

use std::io;
use std::sync::Arc;

use super::{Access, Disk, DiskFile, Facts, LockGuard};

/// A folder of a disk, as a disk of its own.
#[derive(Debug)]
pub struct Within {
    disk: Arc<dyn Disk>,
    folder: String,
}

impl Within {
    /// The folder of that name, which need not be there yet.
    #[must_use]
    pub fn new(disk: &Arc<dyn Disk>, folder: &str) -> Self {
        Self { disk: Arc::clone(disk), folder: folder.to_owned() }
    }

    fn path(&self, name: &str) -> String {
        if name.is_empty() { self.folder.clone() } else { format!("{}/{name}", self.folder) }
    }
}

impl Disk for Within {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(&self.path(name), access)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(&self.path(folder))
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.create_folder(&self.path(folder))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path(from), &self.path(to))
    }

    fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        self.disk.exchange(&self.path(one), &self.path(other))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&self.path(name))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.remove_folder(&self.path(folder))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.sync_folder(&self.path(folder))?;
        let above = self.folder.rsplit_once('/').map_or("", |(above, _)| above);
        if folder.is_empty() { self.disk.sync_folder(above) } else { Ok(()) }
    }

    fn lock(&self, name: &str) -> io::Result<LockGuard> {
        self.disk.lock(&self.path(name))
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        self.disk.try_lock(&self.path(name))
    }

    fn facts(&self, name: &str) -> io::Result<Facts> {
        self.disk.facts(&self.path(name))
    }

    fn network(&self) -> Option<&'static str> {
        self.disk.network()
    }

    fn copies_on_write(&self) -> Option<&'static str> {
        self.disk.copies_on_write()
    }

    fn describe(&self) -> String {
        format!("{}/{}", self.disk.describe(), self.folder)
    }

    fn mapped_writes(&self) -> bool {
        self.disk.mapped_writes()
    }
}
