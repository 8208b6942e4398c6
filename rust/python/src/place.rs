//! Where something new is to be: a folder that is there, and a name in it.

use std::path::Path;
use std::sync::Arc;

use act_fast_core::disk::{Disk, RealDisk};
use pyo3::PyResult;

use crate::errors::invalid;

/// The disk that a path is on, and its name there.
pub(crate) fn place(path: &Path) -> PyResult<(Arc<dyn Disk>, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(folder), Some(name)) = (path.parent(), name) else {
        return Err(invalid(format!("a directory cannot be created at {}; choose another path", path.display())));
    };
    Ok((Arc::new(RealDisk::new(folder)), name))
}
