//! Where archived log files are: a folder, or an object storage that the binding knows how to reach.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::{Access, Disk, RealDisk, folder_of, put_file};
use crate::error::{Doing, Error, Result};

/// The file of a store that says where its archive is.
const ADDRESS: &str = "archive.json";
const FORMAT: u32 = 1;

/// A place that keeps whole objects by name. Names have `/` between folder and file.
pub trait Shelf: Send + Sync + Debug {
    /// Put an object there, whole or not at all, in the place of whatever has its name; return when it would survive a
    /// power cut.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Some bytes of an object; fewer where it is shorter.
    fn read(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>>;
    /// How many bytes an object has; None where there is no such object.
    fn size(&self, name: &str) -> io::Result<Option<u64>>;
    /// Remove an object, if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Whether each reading takes so long that it is better to read much at once.
    fn far(&self) -> bool {
        true
    }
}

/// Opens the shelves at addresses with a scheme, as in `s3://bucket/folder`.
pub type Opener = dyn Fn(&str) -> io::Result<Arc<dyn Shelf>> + Send + Sync;

static OPENER: OnceLock<Box<Opener>> = OnceLock::new();

/// Say how shelves at addresses with a scheme are opened. Only the first call counts.
pub fn shelves(opener: Box<Opener>) {
    let _ = OPENER.set(opener);
}

/// Open the shelf at an address: the path of a folder, or an address with a scheme.
pub fn shelf(address: &str) -> io::Result<Arc<dyn Shelf>> {
    if !address.contains("://") {
        return Ok(Arc::new(Folder::new(Arc::new(RealDisk::new(Path::new(address))))));
    }
    let opener = OPENER.get().ok_or_else(|| io::Error::other("nothing here can reach such an address"))?;
    opener(address)
}

/// What the file says.
#[derive(Serialize, Deserialize)]
struct Address {
    format: u32,
    address: String,
}

/// Where the archive of a store is; None where it has none.
pub(crate) fn archive_of(disk: &dyn Disk) -> Result<Option<String>> {
    if let Some(address) = disk.archive() {
        return Ok(Some(address.to_owned()));
    }
    let what = || format!("reading {ADDRESS}");
    let file = match disk.open(ADDRESS, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome.doing(what)?,
    };
    let len = usize::try_from(file.len().doing(what)?).unwrap_or(usize::MAX);
    let bytes = file.read_at(0, len).doing(what)?;
    let damaged = || {
        let what =
            "this file does not say where the archive is; archive the store again, to the same place, to write it";
        Error::corrupt(ADDRESS, 0, None, what)
    };
    let found: Address = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    if found.format != FORMAT {
        return Err(Error::Format(format!(
            "{ADDRESS} has format {}; this version of act-fast reads format {FORMAT}: use a newer one",
            found.format
        )));
    }
    Ok(Some(found.address))
}

/// Keep where the archive of a store is.
pub(crate) fn put_archive(disk: &dyn Disk, address: &str) -> Result<()> {
    let what = || format!("writing {ADDRESS}");
    let told = Address { format: FORMAT, address: address.to_owned() };
    let bytes = serde_json::to_vec(&told).map_err(io::Error::other).doing(what)?;
    put_file(disk, ADDRESS, &bytes).doing(what)
}

/// Keep no longer where the archive of a store was.
pub(crate) fn forget_archive(disk: &dyn Disk) -> Result<()> {
    let what = || format!("removing {ADDRESS}");
    match disk.remove(ADDRESS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.and_then(|()| disk.sync_folder("")).doing(what),
    }
}

/// Refuse to rewrite a store of which an archive has, or may have, what is to be rewritten.
pub(crate) fn check_no_archive(disk: &dyn Disk, archived: bool, purpose: &str) -> Result<()> {
    let store = disk.describe();
    let address = match archive_of(disk) {
        Ok(address) => address.unwrap_or_default(),
        Err(_) => String::new(),
    };
    if archived {
        return Err(Error::Invalid(format!(
            "a part of {store} is archived at {address}, and the archive would go on holding what is to be changed here: \
             bring it back with `act-fast unarchive {store} --remove`, {purpose}, and archive it again with `act-fast \
             archive {store} --to {address}`"
        )));
    }
    let noted = disk.list("").doing(|| format!("listing {store}"))?.iter().any(|name| name == ADDRESS);
    if noted {
        return Err(Error::Invalid(format!(
            "the archive at {address} may still hold what is to be changed here: remove its objects with `act-fast \
             unarchive {store} --remove`, then {purpose}. If that archive is gone for good, remove {ADDRESS} from {store}"
        )));
    }
    Ok(())
}

/// A folder of a file system as a shelf.
#[derive(Debug)]
pub struct Folder {
    disk: Arc<dyn Disk>,
}

impl Folder {
    /// The folder that a disk is.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }
}

impl Shelf for Folder {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = folder_of(name);
        self.disk.create_folder(folder)?;
        put_file(&*self.disk, name, bytes)?;
        if folder.is_empty() { Ok(()) } else { self.disk.sync_folder("") }
    }

    fn read(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        self.disk.open(name, Access::Read)?.read_at(at, len)
    }

    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        match self.disk.open(name, Access::Read) {
            Ok(file) => file.len().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.disk.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn far(&self) -> bool {
        false
    }
}
