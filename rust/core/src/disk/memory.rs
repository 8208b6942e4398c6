//! A directory in anonymous memory: the same engine, gone with its handle.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use act_fast_sys::anonymous_file;

use super::real::OpenFile;
use super::{Access, Disk, DiskFile, LockGuard};

/// A directory in anonymous memory.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    files: Mutex<BTreeMap<String, File>>,
}

impl MemoryDisk {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, File>) -> T) -> T {
        work(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A file of a `MemoryDisk`; it has no name that could be taken away.
#[derive(Debug)]
struct MemoryFile(OpenFile);

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.reserve(offset, len)
    }

    fn map(&self, offset: u64, len: usize, writable: bool) -> io::Result<act_fast_sys::Map> {
        self.0.map(offset, len, writable)
    }

    fn linked(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.0.identity()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = self.with(|files| -> io::Result<File> {
            if access == Access::Create {
                files.insert(name.to_owned(), anonymous_file()?);
            }
            files.get(name).ok_or(io::ErrorKind::NotFound)?.try_clone()
        })?;
        Ok(Box::new(MemoryFile(OpenFile(file))))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let first_part = |name: &String| -> Option<String> {
            name.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()).map(str::to_owned)
        };
        let mut names: Vec<String> = self.with(|files| files.keys().filter_map(first_part).collect());
        names.dedup();
        Ok(names)
    }

    fn create_folder(&self, _folder: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|files| {
            if let Some(file) = files.remove(from) {
                files.insert(to.to_owned(), file);
                return Ok(());
            }
            let folder = take_folder(files, from);
            if folder.is_empty() {
                return Err(io::ErrorKind::NotFound.into());
            }
            put_folder(files, to, folder);
            Ok(())
        })
    }

    fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        self.with(|files| {
            let (first, second) = (take_folder(files, one), take_folder(files, other));
            put_folder(files, other, first);
            put_folder(files, one, second);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|files| files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        let prefix = format!("{folder}/");
        self.with(|files| files.retain(|name, _| !name.starts_with(&prefix)));
        Ok(())
    }

    fn discard(&self) {
        self.with(BTreeMap::clear);
    }

    fn sync_folder(&self, _folder: &str) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _name: &str) -> io::Result<LockGuard> {
        Ok(LockGuard(None))
    }

    fn try_lock(&self, _name: &str) -> io::Result<Option<LockGuard>> {
        Ok(Some(LockGuard(None)))
    }

    fn describe(&self) -> String {
        "memory:".to_owned()
    }
}

/// Take a folder's files away; their names within it.
fn take_folder(files: &mut BTreeMap<String, File>, folder: &str) -> Vec<(String, File)> {
    let prefix = format!("{folder}/");
    let names: Vec<String> = files.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
    names.into_iter().filter_map(|name| Some((name[prefix.len()..].to_owned(), files.remove(&name)?))).collect()
}

fn put_folder(files: &mut BTreeMap<String, File>, folder: &str, found: Vec<(String, File)>) {
    files.extend(found.into_iter().map(|(name, file)| (format!("{folder}/{name}"), file)));
}
