//! Whether a control file can be believed: it says of which file, and of which start of the machine, it is true.

use std::sync::atomic::{Ordering, fence};

use crate::bytes::{put_narrow, u64_at};
use crate::error::{Doing, Result};
use crate::shared::control::{AREA, Control, IDENTITY};
use crate::shared::line::{self, Address, LINE_BYTES};

/// Which start of which machine, and which file, a control file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    boot: u64,
    device: u64,
    inode: u64,
}

impl Identity {
    /// Whether both are of one start of the machine. Where the system does not tell starts apart, that is never known.
    pub(crate) fn same_boot(&self, other: &Self) -> bool {
        self.boot == other.boot && self.boot != boot_of("")
    }

    /// Whether the machine was started in between. Where the system does not tell starts apart, that is never known.
    pub(crate) fn another_boot(&self, other: &Self) -> bool {
        self.boot != other.boot
    }

    pub(crate) fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

fn boot_of(told: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(told.as_bytes())
}

impl Control {
    /// What `identity` would be for a control file written here and now.
    pub(crate) fn here_and_now(&self) -> Result<Identity> {
        let (device, inode) = self.file.identity().doing(|| "looking at the control file".to_owned())?;
        let boot = self.file.boot().doing(|| "asking which start of the machine this is".to_owned())?;
        Ok(Identity { boot: boot_of(&boot), device, inode })
    }

    /// Where and since which start of the machine this file has been kept true; None while it is not.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let content = line::load(self.line(IDENTITY));
        line::sound(&content, Address::new(AREA, IDENTITY)).then(|| Identity {
            boot: u64_at(&content, 0),
            device: u64_at(&content, 8),
            inode: u64_at(&content, 16),
        })
    }

    /// Say that this file is not to be trusted until `claim`.
    pub(crate) fn disclaim(&self) {
        line::store(self.line(IDENTITY), &[0; LINE_BYTES]);
        fence(Ordering::SeqCst);
    }

    /// Say that this file is true, here and since this start of the machine.
    pub(crate) fn claim(&self) -> Result<()> {
        let identity = self.here_and_now()?;
        let mut content = [0; LINE_BYTES];
        put_narrow::<8>(&mut content, 0, identity.boot);
        put_narrow::<8>(&mut content, 8, identity.device);
        put_narrow::<8>(&mut content, 16, identity.inode);
        line::seal(&mut content, Address::new(AREA, IDENTITY));
        fence(Ordering::SeqCst);
        line::store(self.line(IDENTITY), &content);
        Ok(())
    }
}
