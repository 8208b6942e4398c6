//! A disk in memory that keeps apart what was written and what would survive a power cut.
//!
//! Every call on it is a boundary. At each one it can take down a *checkpoint*: for every file what is durable and every
//! sector and length written since, and for every folder the names that were not yet synced. A *crash image* is made from
//! a checkpoint by choosing, for each of these, whether it came to the disk. Sectors have 512 bytes; one that was written
//! several times may be found in any of its versions. Files that are changed through a mapping (control and index) are
//! looked at at every boundary. An *interceptor* sees each call first, and may let it fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use act_fast_core::disk::{Access, Disk, DiskFile, LockGuard};
use act_fast_sys::{Guarded, Map, anonymous_file, reserve};

use super::control_file;
use super::rng::Rng;

/// The name of the thread that works beside whoever appends.
pub(crate) const HOUSEKEEPER: &str = "act-fast-housekeeper";
const SECTOR: usize = 512;
const DEVICE: u64 = 77;
/// How many versions of a sector are kept apart.
const VERSIONS_MAX: usize = 6;

/// What is asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Len,
    Write,
    Flush,
    Reserve,
    Map,
    Identity,
    List,
    CreateFolder,
    Rename,
    Remove,
    RemoveFolder,
    SyncFolder,
    Lock,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Verdict {
    Go,
    /// Nothing is done. A flush that fails has lost what it was to flush, though it can still be read; all who had the file
    /// open are told so by their next flush, once, and then no more.
    Fail(io::Error),
    /// A write does half its work; anything else all of it.
    Short,
    /// Says that all is well, and does nothing.
    Lie,
}

type Interceptor = dyn Fn(Call, &str) -> Verdict + Send + Sync;
type Sector = [u8; SECTOR];

/// A file's bytes.
#[derive(Clone, Debug, Default)]
struct Content {
    durable: Arc<Vec<u8>>,
    /// What each sector held since, oldest first.
    unsynced: BTreeMap<usize, Vec<Arc<Sector>>>,
    /// How long the file was since, oldest first.
    lens: Vec<usize>,
    /// As it was looked at last, if it is changed through a mapping.
    mapped: Option<Arc<Vec<u8>>>,
    /// How many flushes have failed.
    failures: u32,
}

impl Content {
    fn len(&self) -> usize {
        self.lens.last().copied().unwrap_or(self.durable.len())
    }

    fn changed(&mut self, sector: usize, bytes: Sector) {
        let versions = self.unsynced.entry(sector).or_default();
        if versions.len() == VERSIONS_MAX {
            versions.remove(1);
        }
        versions.push(Arc::new(bytes));
    }

    /// Files only grow. What looked at the length before another thread made the file longer says nothing new.
    fn grew(&mut self, len: usize) {
        if len > self.len() {
            self.lens.push(len);
        }
    }

    /// The bytes, with a version chosen for each sector and for the length; 0 is what is durable.
    fn render(&self, choose: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        let len = match choose(self.lens.len()) {
            0 => self.durable.len(),
            version => self.lens[version - 1],
        };
        let mut bytes = vec![0; len.max(self.len()).next_multiple_of(SECTOR)];
        bytes[..self.durable.len()].copy_from_slice(&self.durable);
        for (sector, versions) in &self.unsynced {
            if let Some(version) = choose(versions.len()).checked_sub(1)
                && let Some(place) = bytes.get_mut(sector * SECTOR..(sector + 1) * SECTOR)
            {
                place.copy_from_slice(&versions[version][..]);
            }
        }
        bytes.truncate(len);
        bytes
    }

    fn flush(&mut self) {
        let latest = self.render(&mut |versions| versions);
        self.durable = Arc::new(latest);
        self.unsynced.clear();
        self.lens.clear();
    }
}

/// What names there are.
#[derive(Clone, Debug, Default)]
struct Names {
    files: BTreeMap<String, u64>,
    folders: BTreeSet<String>,
}

/// A change of the names in a folder.
#[derive(Clone, Debug)]
enum Change {
    Link(String, u64),
    Unlink(String),
    Rename(String, String, u64),
    MakeFolder(String),
    RemoveFolder(String),
    RenameFolder(String, String),
    Exchange(String, String),
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Change {
    fn folder(&self) -> &str {
        match self {
            Self::Link(name, _) | Self::Unlink(name) | Self::Rename(name, _, _) => folder_of(name),
            Self::MakeFolder(name) | Self::RemoveFolder(name) => folder_of(name),
            Self::RenameFolder(_, to) | Self::Exchange(_, to) => folder_of(to),
        }
    }
}

impl Names {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Link(name, inode) => drop(self.files.insert(name.clone(), *inode)),
            Change::Unlink(name) => drop(self.files.remove(name)),
            Change::Rename(from, to, inode) => {
                self.files.remove(from);
                self.files.insert(to.clone(), *inode);
            }
            Change::MakeFolder(name) => drop(self.folders.insert(name.clone())),
            Change::RenameFolder(from, to) => {
                let taken = self.take(from);
                self.put(to, taken);
            }
            Change::Exchange(one, other) => {
                let (first, second) = (self.take(one), self.take(other));
                self.put(other, first);
                self.put(one, second);
            }
            Change::RemoveFolder(name) => {
                let inside = format!("{name}/");
                self.folders.retain(|folder| folder != name && !folder.starts_with(&inside));
                self.files.retain(|file, _| !file.starts_with(&inside));
            }
        }
    }

    /// Take away a folder with all that is in it; what follows the folder's name, in files and in folders.
    fn take(&mut self, folder: &str) -> Names {
        let within = |name: &str| name == folder || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let mut taken = Names::default();
        self.files.retain(|name, inode| {
            if within(name) {
                taken.files.insert(name[folder.len()..].to_owned(), *inode);
            }
            !within(name)
        });
        self.folders.retain(|name| {
            if within(name) {
                taken.folders.insert(name[folder.len()..].to_owned());
            }
            !within(name)
        });
        taken
    }

    fn put(&mut self, folder: &str, taken: Names) {
        self.files.extend(taken.files.into_iter().map(|(rest, inode)| (format!("{folder}{rest}"), inode)));
        self.folders.extend(taken.folders.into_iter().map(|rest| format!("{folder}{rest}")));
    }

    fn reachable(&self, name: &str) -> bool {
        let folder = folder_of(name);
        folder.is_empty() || (self.folders.contains(folder) && self.reachable(folder))
    }
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, (Arc<File>, Arc<Content>)>,
    next_inode: u64,
    names: Names,
    durable: Names,
    pending: Vec<Change>,
    checkpoints: Option<Vec<Checkpoint>>,
    note: usize,
    mute: bool,
}

/// All that a power cut could leave at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    /// What was done last.
    pub(crate) after: String,
    /// What `note` was told last.
    pub(crate) note: usize,
    /// Whether all that is mapped is as it was at one instant. It is not when this was taken down in the middle of what
    /// another thread was doing: a machine's end may leave such a mixture on the disk, a process's death does not.
    pub(crate) of_one_instant: bool,
    contents: BTreeMap<u64, Arc<Content>>,
    names: Names,
    durable: Names,
    pending: Vec<Change>,
    mute: bool,
}

/// A disk as somebody finds it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) files: BTreeMap<String, (u64, Vec<u8>)>,
    folders: BTreeSet<String>,
    mute: bool,
}

/// How much of what was not yet durable is lost. Units are counted over sectors, lengths and names of the log; what is
/// lost of control and index file is left to chance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    Nothing,
    Everything,
    /// One unit is lost.
    One(usize),
    /// All but one unit are lost.
    AllBut(usize),
    /// Each unit is kept with this chance, in percent.
    Chance(usize),
}

impl Loss {
    /// Which of some versions of a unit is found; 0 is what is durable.
    fn choose(self, unit: usize, versions: usize, rng: &mut Rng) -> usize {
        match self {
            Self::Nothing => versions,
            Self::Everything => 0,
            Self::One(lost) if lost == unit => rng.below(versions),
            Self::One(_) => versions,
            Self::AllBut(kept) if kept == unit => versions,
            Self::AllBut(_) => 0,
            Self::Chance(percent) if rng.chance(percent) => 1 + rng.below(versions),
            Self::Chance(_) => 0,
        }
    }

    /// What becomes of control and index.
    fn of_the_derived(self, rng: &mut Rng) -> Self {
        match self {
            Self::Nothing | Self::Everything => self,
            _ => [Self::Nothing, Self::Everything, Self::Chance(50), Self::Chance(85)][rng.below(4)],
        }
    }
}

fn of_the_log(name: &str) -> bool {
    name.starts_with("log")
}

impl Checkpoint {
    /// How many sectors, lengths and names of the log a power cut could take.
    pub(crate) fn units(&self) -> usize {
        let names = self.pending.iter().filter(|change| of_the_log(change_name(change))).count();
        let contents = self.contents.values().filter(|content| content.mapped.is_none());
        let parts = contents.map(|content| content.unsynced.len() + usize::from(!content.lens.is_empty()));
        names + parts.sum::<usize>()
    }

    /// What a power cut leaves.
    pub(crate) fn image(&self, loss: Loss, rng: &mut Rng) -> Image {
        let derived = loss.of_the_derived(rng);
        let mut few = rng.fork();
        let mut unit = 0;
        let mut choose = |ours: bool, versions: usize| -> usize {
            if versions == 0 {
                return 0;
            }
            if !ours {
                return derived.choose(usize::MAX, versions, rng);
            }
            unit += 1;
            loss.choose(unit - 1, versions, rng)
        };
        let mut names = self.durable.clone();
        for change in &self.pending {
            let kept = match derived {
                _ if of_the_log(change_name(change)) => choose(true, 1) == 1,
                Loss::Nothing | Loss::Everything => choose(false, 1) == 1,
                // An index of which a file is missing is no temptation.
                _ => few.chance(92),
            };
            if kept {
                names.apply(change);
            }
        }
        let rendered: BTreeMap<u64, Vec<u8>> = self
            .contents
            .iter()
            .map(|(inode, content)| {
                (*inode, content.render(&mut |versions| choose(content.mapped.is_none(), versions)))
            })
            .collect();
        let mut files = BTreeMap::new();
        for (name, inode) in names.files.iter().filter(|(name, _)| names.reachable(name)) {
            files.insert(name.clone(), (*inode, rendered[inode].clone()));
        }
        let folders = names.folders.iter().filter(|name| names.reachable(name)).cloned().collect();
        Image { files, folders, mute: self.mute }
    }

    /// The disk as the same machine finds it when all processes have died: nothing is lost, nothing more is durable.
    pub(crate) fn killed(&self) -> LyingDisk {
        let mut state = State {
            names: self.names.clone(),
            durable: self.durable.clone(),
            pending: self.pending.clone(),
            note: self.note,
            mute: self.mute,
            ..State::default()
        };
        for (inode, content) in &self.contents {
            let latest = content.render(&mut |versions| versions);
            state.files.insert(*inode, (Arc::new(memory_file(&latest)), Arc::clone(content)));
        }
        state.next_inode = self.contents.keys().max().map_or(0, |last| last + 1);
        LyingDisk::with(state)
    }

    /// What readers were shown when this was taken down.
    pub(crate) fn published(&self) -> u64 {
        let control = self.names.files.get("control").and_then(|inode| self.contents.get(inode));
        control.map_or(0, |content| control_file::published(&content.render(&mut |versions| versions)))
    }
}

fn change_name(change: &Change) -> &str {
    match change {
        Change::Link(name, _) | Change::Unlink(name) | Change::Rename(name, _, _) => name,
        Change::MakeFolder(name) | Change::RemoveFolder(name) => name,
        Change::RenameFolder(_, to) | Change::Exchange(_, to) => to,
    }
}

impl Image {
    /// The machine was started again. Where its system does not tell starts apart, nothing shows it.
    pub(crate) fn rebooted(mut self) -> Self {
        if let Some((_, bytes)) = self.files.get_mut("control").filter(|_| !self.mute) {
            control_file::another_boot(bytes);
        }
        self
    }

    /// The files were copied to another place.
    pub(crate) fn copied(mut self) -> Self {
        for (inode, _) in self.files.values_mut() {
            *inode += 1 << 20;
        }
        self
    }

    pub(crate) fn bytes_mut(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.files.get_mut(name).unwrap_or_else(|| panic!("there is no {name}")).1
    }
}

/// A file in memory. Pages of zeros are left out.
fn memory_file(bytes: &[u8]) -> File {
    const PAGE: usize = 4096;
    let file = anonymous_file().expect("a file in memory");
    file.set_len(bytes.len() as u64).expect("a length");
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        if *page != [0; PAGE][..page.len()] {
            file.write_all_at(page, (number * PAGE) as u64).expect("room in memory");
        }
    }
    file
}

fn read_all(file: &File) -> Vec<u8> {
    let len = file.metadata().expect("a length").len() as usize;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("its bytes");
    bytes
}

/// The disk.
#[derive(Clone)]
pub(crate) struct LyingDisk {
    state: Arc<Mutex<State>>,
    /// Locks are taken on files of their own, which die with the machine.
    locks: Arc<Mutex<BTreeMap<String, Arc<File>>>>,
    interceptor: Arc<Mutex<Option<Arc<Interceptor>>>>,
}

impl std::fmt::Debug for LyingDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LyingDisk")
    }
}

impl Default for LyingDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl LyingDisk {
    pub(crate) fn new() -> Self {
        Self::with(State::default())
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), locks: Arc::default(), interceptor: Arc::new(Mutex::new(None)) }
    }

    /// A disk on which all that an image has is durable.
    pub(crate) fn from_image(image: &Image) -> Self {
        let mut state = State { mute: image.mute, ..State::default() };
        state.names.folders.clone_from(&image.folders);
        for (name, (inode, bytes)) in &image.files {
            let content = Content { durable: Arc::new(bytes.clone()), ..Content::default() };
            state.files.insert(*inode, (Arc::new(memory_file(bytes)), Arc::new(content)));
            state.names.files.insert(name.clone(), *inode);
            state.next_inode = state.next_inode.max(inode + 1);
        }
        state.durable = state.names.clone();
        Self::with(state)
    }

    /// From here on, its system does not tell one start of the machine from another.
    pub(crate) fn mute(&self) {
        self.state().mute = true;
    }

    /// For `Log::open`.
    pub(crate) fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Have every call looked at before it is done.
    pub(crate) fn intercept(&self, interceptor: impl Fn(Call, &str) -> Verdict + Send + Sync + 'static) {
        *self.interceptor.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(interceptor));
    }

    /// Have the call of that number fail, of those that change something. Answers how many there were.
    pub(crate) fn fail_at(&self, number: u64, error: i32) -> Arc<AtomicU64> {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        self.intercept(move |call, _| {
            if matches!(call, Call::Len | Call::Map | Call::Identity | Call::Lock) {
                return Verdict::Go;
            }
            if counted.fetch_add(1, Ordering::SeqCst) + 1 == number {
                return Verdict::Fail(io::Error::from_raw_os_error(error));
            }
            Verdict::Go
        });
        calls
    }

    /// Behave again.
    pub(crate) fn repair(&self) {
        *self.interceptor.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Take down a checkpoint at every boundary from now on.
    pub(crate) fn record(&self) {
        self.state().checkpoints = Some(Vec::new());
        self.boundary("the beginning");
    }

    /// The checkpoints so far; no more are taken down.
    pub(crate) fn checkpoints(&self) -> Vec<Checkpoint> {
        self.boundary("the end");
        self.state().checkpoints.take().unwrap_or_default()
    }

    /// A checkpoint of this moment.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let mut state = self.state();
        look_at_mapped(&mut state);
        take_down(&state, "now")
    }

    /// A number to find in the checkpoints that follow.
    pub(crate) fn note(&self, note: usize) {
        let mut state = self.state();
        look_at_mapped(&mut state);
        state.note = note;
    }

    /// A file's bytes as they can be read now.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        read_all(&state.files[&state.names.files[name]].0)
    }

    /// Change a file's bytes behind everybody's back.
    pub(crate) fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) {
        let state = self.state();
        state.files[&state.names.files[name]].0.write_all_at(bytes, offset).expect("room in memory");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, call: Call, name: &str) -> io::Result<Verdict> {
        let interceptor = self.interceptor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match interceptor.map_or(Verdict::Go, |interceptor| interceptor(call, name)) {
            Verdict::Fail(error) => Err(error),
            verdict => Ok(verdict),
        }
    }

    fn boundary(&self, what: &str) {
        let mut state = self.state();
        if state.checkpoints.is_some() {
            look_at_mapped(&mut state);
            let checkpoint = take_down(&state, what);
            state.checkpoints.as_mut().expect("just seen").push(checkpoint);
        }
    }

    fn change(&self, change: Change) {
        let mut state = self.state();
        state.names.apply(&change);
        state.pending.push(change);
    }
}

impl State {
    /// Whether a file has a name, or may have one after a power cut.
    fn named(&self) -> BTreeSet<u64> {
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Link(_, inode) | Change::Rename(_, _, inode) => Some(*inode),
            _ => None,
        });
        self.names.files.values().chain(self.durable.files.values()).copied().chain(pending).collect()
    }
}

fn look_at_mapped(state: &mut State) {
    let named = state.named();
    for (_, (file, content)) in state.files.iter_mut().filter(|(inode, _)| named.contains(inode)) {
        let Some(seen) = content.mapped.clone() else { continue };
        let now = read_all(file);
        if now == *seen {
            continue;
        }
        let content = Arc::make_mut(content);
        for (sector, bytes) in now.chunks(SECTOR).enumerate() {
            let before = seen.get(sector * SECTOR..sector * SECTOR + bytes.len()).unwrap_or_default();
            if before != bytes && (!before.is_empty() || *bytes != [0; SECTOR][..bytes.len()]) {
                let mut whole = [0; SECTOR];
                whole[..bytes.len()].copy_from_slice(bytes);
                content.changed(sector, whole);
            }
        }
        content.mapped = Some(Arc::new(now));
    }
}

fn take_down(state: &State, what: &str) -> Checkpoint {
    let contents = state.named().into_iter().map(|inode| (inode, Arc::clone(&state.files[&inode].1))).collect();
    Checkpoint {
        after: what.to_owned(),
        note: state.note,
        of_one_instant: std::thread::current().name() != Some(HOUSEKEEPER),
        contents,
        names: state.names.clone(),
        durable: state.durable.clone(),
        pending: state.pending.clone(),
        mute: state.mute,
    }
}

#[derive(Debug)]
struct LyingFile {
    disk: LyingDisk,
    name: String,
    inode: u64,
    file: Arc<File>,
    /// Of how many failed flushes this open file knows.
    told: AtomicU32,
}

impl LyingFile {
    fn change<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        let mut state = self.disk.state();
        let (_, content) = state.files.get_mut(&self.inode).expect("files are never forgotten");
        work(Arc::make_mut(content))
    }

    fn wrote(&self, offset: u64, len: usize) {
        let offset = offset as usize;
        let first = offset / SECTOR;
        let last = (offset + len.max(1) - 1) / SECTOR;
        let total = self.file.metadata().expect("a length").len() as usize;
        let mut bytes = vec![0; (last + 1 - first) * SECTOR];
        let there = total.saturating_sub(first * SECTOR).min(bytes.len());
        self.file.read_exact_at(&mut bytes[..there], (first * SECTOR) as u64).expect("what was written");
        self.change(|content| {
            for (number, sector) in bytes.chunks_exact(SECTOR).enumerate() {
                content.changed(first + number, sector.try_into().expect("a sector"));
            }
            content.grew(total);
        });
    }
}

impl DiskFile for LyingFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.begin(Call::Len, &self.name)?;
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let bytes = match self.disk.begin(Call::Write, &self.name)? {
            Verdict::Short => &bytes[..bytes.len().div_ceil(2)],
            _ => bytes,
        };
        self.file.write_all_at(bytes, offset)?;
        self.wrote(offset, bytes.len());
        self.disk.boundary(&format!("writing {} bytes at {offset} of {}", bytes.len(), self.name));
        Ok(bytes.len())
    }

    fn flush(&self) -> io::Result<()> {
        // The power may go while it is under way.
        self.disk.boundary(&format!("beginning to flush {}", self.name));
        let verdict = match self.disk.begin(Call::Flush, &self.name) {
            Ok(verdict) => verdict,
            Err(error) => {
                look_at_mapped(&mut self.disk.state());
                let failures = self.change(|content| {
                    content.unsynced.clear();
                    content.failures += 1;
                    content.failures
                });
                self.told.store(failures, Ordering::SeqCst);
                self.disk.boundary(&format!("failing to flush {}", self.name));
                return Err(error);
            }
        };
        if !matches!(verdict, Verdict::Lie) {
            look_at_mapped(&mut self.disk.state());
            let failures = self.change(|content| {
                content.flush();
                content.failures
            });
            if self.told.swap(failures, Ordering::SeqCst) != failures {
                return Err(io::Error::from_raw_os_error(5));
            }
        }
        self.disk.boundary(&format!("flushing {}", self.name));
        Ok(())
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.begin(Call::Reserve, &self.name)?;
        reserve(&self.file, offset, len)?;
        let total = self.file.metadata()?.len() as usize;
        self.change(|content| content.grew(total));
        self.disk.boundary(&format!("reserving {len} bytes at {offset} of {}", self.name));
        Ok(())
    }

    fn warm(&self, offset: u64, len: u64) -> io::Result<()> {
        // As a real one does it.
        self.write_zeros(offset, len)
    }

    fn map(&self, offset: u64, len: usize, writable: bool) -> io::Result<Map> {
        self.disk.begin(Call::Map, &self.name)?;
        if !writable {
            return Map::read_only(&self.file, offset, len);
        }
        let now = read_all(&self.file);
        self.change(|content| {
            content.mapped.get_or_insert_with(|| Arc::new(now));
        });
        Map::shared(&self.file, offset, len)
    }

    fn linked(&self) -> io::Result<bool> {
        self.disk.begin(Call::Identity, &self.name)?;
        Ok(self.disk.state().names.files.values().any(|inode| *inode == self.inode))
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.disk.begin(Call::Identity, &self.name)?;
        Ok((DEVICE, self.inode))
    }

    fn boot(&self) -> io::Result<String> {
        if self.disk.state().mute { Ok(String::new()) } else { act_fast_sys::boot_id() }
    }
}

impl Disk for LyingDisk {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        self.begin(Call::Open, name)?;
        let (inode, file) = if access == Access::Create {
            let mut state = self.state();
            if !state.names.reachable(name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inode = state.next_inode;
            state.next_inode += 1;
            let file = Arc::new(anonymous_file()?);
            state.files.insert(inode, (Arc::clone(&file), Arc::default()));
            drop(state);
            self.change(Change::Link(name.to_owned(), inode));
            self.boundary(&format!("creating {name}"));
            (inode, file)
        } else {
            let state = self.state();
            let inode = *state.names.files.get(name).ok_or(io::ErrorKind::NotFound)?;
            (inode, Arc::clone(&state.files[&inode].0))
        };
        let told = AtomicU32::new(self.state().files[&inode].1.failures);
        Ok(Box::new(LyingFile { disk: self.clone(), name: name.to_owned(), inode, file, told }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.begin(Call::List, folder)?;
        let inside = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let state = self.state();
        let locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let all = state.names.files.keys().chain(&state.names.folders).chain(locks.keys());
        let names: BTreeSet<String> = all
            .filter_map(|name| name.strip_prefix(&inside))
            .filter_map(|rest| rest.split('/').next().filter(|first| !first.is_empty()))
            .map(str::to_owned)
            .collect();
        Ok(names.into_iter().collect())
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        self.begin(Call::CreateFolder, folder)?;
        let above = folder_of(folder);
        if !above.is_empty() && !self.state().names.folders.contains(above) {
            self.create_folder(above)?;
        }
        if !self.state().names.folders.contains(folder) {
            self.change(Change::MakeFolder(folder.to_owned()));
            self.boundary(&format!("making {folder}"));
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.begin(Call::Rename, from)?;
        if self.state().names.folders.contains(from) {
            self.change(Change::RenameFolder(from.to_owned(), to.to_owned()));
            self.move_locks(from, Some(to));
            self.boundary(&format!("renaming the folder {from} to {to}"));
            return Ok(());
        }
        let inode = *self.state().names.files.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
        self.boundary(&format!("renaming {from} to {to}"));
        Ok(())
    }

    fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        self.begin(Call::Rename, one)?;
        self.change(Change::Exchange(one.to_owned(), other.to_owned()));
        self.boundary(&format!("exchanging {one} and {other}"));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.begin(Call::Remove, name)?;
        if self.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(name).is_some() {
            return Ok(());
        }
        if !self.state().names.files.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(Change::Unlink(name.to_owned()));
        self.boundary(&format!("removing {name}"));
        Ok(())
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        self.begin(Call::RemoveFolder, folder)?;
        let inside = format!("{folder}/");
        let files: Vec<_> = self.state().names.files.keys().filter(|name| name.starts_with(&inside)).cloned().collect();
        for name in files {
            self.change(Change::Unlink(name));
        }
        self.change(Change::RemoveFolder(folder.to_owned()));
        self.move_locks(folder, None);
        self.boundary(&format!("removing {folder}"));
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        if matches!(self.begin(Call::SyncFolder, folder)?, Verdict::Lie) {
            return Ok(());
        }
        let mut state = self.state();
        let (synced, rest) = std::mem::take(&mut state.pending).into_iter().partition(|one| one.folder() == folder);
        state.pending = rest;
        let synced: Vec<Change> = synced;
        for change in &synced {
            state.durable.apply(change);
        }
        drop(state);
        self.boundary(&format!("syncing the folder {folder:?}"));
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<LockGuard> {
        self.begin(Call::Lock, name)?;
        let guarded = Guarded::open(|| self.lock_file(name))?;
        guarded.file().expect("no fork").lock()?;
        Ok(LockGuard(Some(guarded)))
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        self.begin(Call::Lock, name)?;
        let guarded = Guarded::open(|| self.lock_file(name))?;
        let outcome = guarded.file().expect("no fork").try_lock();
        match outcome {
            Ok(()) => Ok(Some(LockGuard(Some(guarded)))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn describe(&self) -> String {
        "a lying disk".to_owned()
    }

    fn mapped_writes(&self) -> bool {
        false
    }
}

impl LyingDisk {
    /// Locks go where their folder goes.
    fn move_locks(&self, folder: &str, to: Option<&str>) {
        let inside = format!("{folder}/");
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let moved: Vec<String> = locks.keys().filter(|name| name.starts_with(&inside)).cloned().collect();
        for name in moved {
            if let (Some(file), Some(to)) = (locks.remove(&name), to) {
                locks.insert(format!("{to}/{}", &name[inside.len()..]), file);
            }
        }
    }

    /// A lock belongs to an opened file, so each taker opens the file again.
    fn lock_file(&self, name: &str) -> io::Result<File> {
        use std::os::fd::AsRawFd;
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match locks.get(name) {
            Some(file) => Arc::clone(file),
            None => {
                let file = Arc::new(anonymous_file()?);
                locks.insert(name.to_owned(), Arc::clone(&file));
                file
            }
        };
        File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }
}
