//! What every platform must be able to tell of files and of the machine.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use act_fast_sys::{anonymous_file, file_facts, path_facts, reserve, sync_folder, uptime_ms, write_at};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("act-fast-sys-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str) -> File {
        let options = || File::options().read(true).write(true).create(true).truncate(true).open(self.0.join(name));
        options().expect("a file")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_is_known_again_by_its_path_and_told_from_others() {
    let folder = Folder::new("identity");
    let (one, other) = (folder.file("one"), folder.file("other"));
    let facts = file_facts(&one).expect("facts");
    assert!(facts.linked);
    assert_eq!(path_facts(&folder.0.join("one")).expect("facts").identity, facts.identity);
    assert_ne!(file_facts(&other).expect("facts").identity, facts.identity);
}

#[test]
fn a_folder_has_an_identity_and_can_be_flushed() {
    let folder = Folder::new("folder");
    folder.file("one");
    assert_eq!(path_facts(&folder.0).expect("facts"), path_facts(&folder.0).expect("facts"));
    sync_folder(&folder.0).expect("flushed");
    assert!(path_facts(&folder.0.join("none")).is_err());
}

#[test]
fn a_file_without_a_name_holds_what_is_written_to_it() {
    let mut file = anonymous_file().expect("a file");
    let another = anonymous_file().expect("another file");
    assert_ne!(file_facts(&file).expect("facts").identity, file_facts(&another).expect("facts").identity);
    assert_eq!(write_at(&file, b"event", 3).expect("written"), 5);
    assert_eq!(file.metadata().expect("its length").len(), 8);
    let mut found = Vec::new();
    std::io::Seek::rewind(&mut file).expect("at the start");
    file.read_to_end(&mut found).expect("read");
    assert_eq!(found, b"\0\0\0event");
}

#[test]
fn reserving_makes_a_file_longer_and_changes_nothing_that_is_there() {
    let folder = Folder::new("reserve");
    let file = folder.file("one");
    write_at(&file, b"event", 0).expect("written");
    reserve(&file, 0, 200_000).expect("reserved");
    let found = std::fs::read(folder.0.join("one")).expect("read");
    assert_eq!(found.len(), 200_000);
    assert_eq!(&found[..5], b"event");
    assert!(found[5..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_machine_has_been_up_for_longer_and_longer() {
    let before = uptime_ms();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(uptime_ms() > before);
}
