//! Numbers that a model keeps in files beside it.
//!
//! The format: <https://onnx.ai/onnx/repo-docs/ExternalData.html>.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::invalid;
use super::proto::{Model, Tensor};
use crate::error::{Error, Result, try_vec};

/// Reads the numbers of the tensors that are in other files of this folder, and returns how many
/// bytes these were. Without a folder there must be no such tensor.
pub(super) fn load(model: &mut Model, folder: Option<&Path>) -> Result<usize> {
    let mut files = Files { left: HashMap::new(), taken: 0 };
    for tensor in model.tensors_mut().filter(|tensor| tensor.data_location != 0) {
        let location = plain_name(tensor)?;
        let Some(folder) = folder else {
            return Err(invalid(format!(
                "the numbers of `{}` are in another file, `{location}`: read the model by \
                 `Network::load_onnx`, which looks for it in the same folder, or export it with \
                 `external_data=False`",
                tensor.name
            )));
        };
        let path = folder.join(location);
        tensor.raw_data = files.read(&path, tensor)?;
        tensor.data_location = 0;
    }
    Ok(files.taken)
}

/// The name of the file that has a tensor's numbers. It must not lead out of the folder, on any
/// system.
fn plain_name(tensor: &Tensor) -> Result<&str> {
    let name = tensor.entry("location").map_err(invalid)?.unwrap_or_default();
    if matches!(name, "" | "." | "..") || name.contains(['/', '\\', ':', '\0']) {
        return Err(invalid(format!(
            "the numbers of `{}` are in `{}`, which is not the plain name of a file in the same \
             folder",
            tensor.name,
            name.escape_debug()
        )));
    }
    Ok(name)
}

/// What was read of which files.
struct Files {
    /// The bytes that may still be taken of each: no more than it has, so that a small file does not
    /// become much by being read again and again.
    left: HashMap<PathBuf, u64>,
    taken: usize,
}

impl Files {
    /// The bytes of a tensor.
    fn read(&mut self, path: &Path, tensor: &Tensor) -> Result<Vec<u8>> {
        let error = |error: io::Error| Error::file(path, &error);
        // Links and, on some systems, cases make several names of one file.
        let file = fs::canonicalize(path).map_err(error)?;
        // What is no file may never end, or not even open.
        let metadata = fs::metadata(&file).map_err(error)?;
        if !metadata.is_file() {
            let kind = io::ErrorKind::InvalidInput;
            return Err(error(io::Error::new(kind, "this is not a regular file")));
        }
        let size = metadata.len();
        let wrong = |problem: String| invalid(problem).in_file(path);
        let (start, length) = tensor.place().map_err(wrong)?;
        let name = &tensor.name;
        if start.checked_add(length).is_none_or(|end| end > size) {
            return Err(wrong(format!(
                "`{name}` has {length} bytes from byte {start} on, but the file has {size}"
            )));
        }
        let left = self.left.entry(file.clone()).or_insert(size);
        *left = left.checked_sub(length).ok_or_else(|| {
            wrong(format!("`{name}` and those before it are more bytes than its {size}"))
        })?;
        let count = usize::try_from(length).map_err(|error| wrong(error.to_string()))?;
        let mut bytes = try_vec("numbers", count)?;
        let mut file = File::open(file).map_err(error)?;
        file.seek(SeekFrom::Start(start)).map_err(error)?;
        file.read_exact(&mut bytes).map_err(error)?;
        self.taken = self.taken.saturating_add(count);
        Ok(bytes)
    }
}

impl Model {
    /// All tensors that nodes may use.
    fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        self.graph.iter_mut().flat_map(|graph| {
            let of_nodes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
            let of_nodes = of_nodes.filter_map(|attribute| attribute.t.as_deref_mut());
            graph.initializer.iter_mut().chain(of_nodes)
        })
    }
}

impl Tensor {
    /// What is said of the other file.
    fn entry(&self, key: &str) -> Result<Option<&str>, String> {
        let mut entries = self.external_data.iter().filter(|entry| entry.key == key);
        match (entries.next(), entries.next()) {
            (entry, None) => Ok(entry.map(|entry| entry.value.as_str())),
            _ => Err(format!("`{}` has its {key} twice", self.name)),
        }
    }

    /// Where its bytes begin in the other file, and how many there are.
    fn place(&self) -> Result<(u64, u64), String> {
        let Self { name, dims, .. } = self;
        let number = |key| {
            let text = self.entry(key)?;
            let number = text.map(str::parse).transpose();
            number.map_err(|_| format!("`{name}` has the {key} {:?}", text.unwrap_or_default()))
        };
        let (start, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let needed = self.element_bytes()?.checked_mul(self.count()?);
        let needed = needed.and_then(|needed| u64::try_from(needed).ok());
        let needed = needed.ok_or_else(|| format!("`{name}` has the shape {dims:?}"))?;
        match length {
            Some(length) if length != needed => {
                Err(format!("`{name}` has {length} bytes, but its shape {dims:?} needs {needed}"))
            }
            _ => Ok((start, needed)),
        }
    }
}
