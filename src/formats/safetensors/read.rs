//! Reading, with every promise of the file checked before anything is made of it.

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use core::fmt;
use deltarule_kernels::Element;
use half::{bf16, f16};
use mmap_guard::FileData;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

use super::names::{Names, Place};
use super::{Config, FORMAT, KEY, Notes, VERSION, invalid};
use crate::error::{Error, Result, try_aligned};
use crate::formats::numbers;
use crate::layers::Layer;
use crate::network::{Network, NetworkBuilder};

/// What `read` makes of a file, which is mapped into memory.
pub(super) fn of_file<T>(path: &Path, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    read(&map(path)?).map_err(|error| error.in_file(path))
}

/// Maps a file into memory.
fn map(path: &Path) -> Result<FileData> {
    let error = |error: io::Error| Error::file(path, &error);
    let metadata = fs::metadata(path).map_err(error)?;
    // What can't be mapped, of which the system would only say that it can't.
    if metadata.is_dir() {
        return Err(error(io::ErrorKind::IsADirectory.into()));
    }
    if metadata.len() == 0 {
        return Err(error(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty")));
    }
    mmap_guard::map_file(path).map_err(error)
}

/// A file whose header is right.
pub(super) struct StateDict<'a> {
    metadata: Metadata,
    data: &'a [u8],
}

impl<'a> StateDict<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.starts_with(b"PK\x03\x04") {
            return Err(invalid(
                "it is a ZIP archive, as `torch.save` writes; let `safetensors.torch.save_file` \
                 write the state dict",
            ));
        }
        let (length, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| invalid(error.to_string()))?;
        let (header, data) = bytes[8..].split_at(length);
        // Of tensors with the same name the library takes the last.
        let mut header = serde_json::Deserializer::from_slice(header);
        header.deserialize_map(UniqueNames).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { metadata, data })
    }

    /// What else is in the metadata.
    pub(super) fn notes(&self) -> Notes {
        Notes::of_metadata(self.metadata.metadata().as_ref())
    }

    /// The network that the metadata describes.
    pub(super) fn network<E: Element>(&self) -> Result<Network<E>> {
        let config = self.metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let config = config.ok_or_else(|| {
            invalid(format!("it has no layers: deltarule wrote no \"{KEY}\" in its metadata"))
        })?;
        let wrong = |error| invalid(format!("\"{KEY}\" in its metadata is not known: {error}"));
        // Other versions may have other fields.
        let version: serde_json::Value = serde_json::from_str(config).map_err(wrong)?;
        let written_by = version["written_by"].as_str().unwrap_or("?").chars().take(16).collect();
        let version = version["version"].as_u64().and_then(|version| version.try_into().ok());
        match version {
            Some(VERSION) => {}
            Some(version) => {
                return Err(Error::Version {
                    format: FORMAT,
                    version,
                    written_by,
                    newest: VERSION,
                });
            }
            None => return Err(invalid(format!("\"{KEY}\" in its metadata has no version"))),
        }
        let Config { inputs, layers, .. } = serde_json::from_str(config).map_err(wrong)?;
        // What has no numbers in the file must not take more memory than what has: an embedding
        // keeps a list of its inputs, and some norms have a γ and β that are not learned.
        let most = 8 * (self.data.len() + config.len());
        if inputs > most && matches!(layers.first(), Some(Layer::Embedding { .. })) {
            return Err(invalid(format!("its embedding has {inputs} inputs")));
        }
        let builder = layers.into_iter().fold(NetworkBuilder::new(inputs), NetworkBuilder::layer);
        let mut network = builder.assemble(|parameters, statistics| {
            // There are as many as statistics at least.
            if parameters > most {
                return Err(invalid(format!("its layers have {parameters} parameters")));
            }
            Ok((try_aligned("parameters", parameters)?, try_aligned("statistics", statistics)?))
        })?;
        let names = Names::of(&network);
        self.check(&names, "")?;
        for ones in &names.ones {
            network.parameters_mut()[ones.clone()].fill(E::ONE);
        }
        self.copy(&names, "", &mut network)?;
        Ok(network)
    }

    /// Checks that there are just these tensors, of types and shapes that can be taken.
    ///
    /// Of several problems the first layer that differs in shape says the most: where a file is of
    /// more or fewer layers, names that are too many or missing come after it.
    pub(super) fn check(&self, names: &Names, prefix: &str) -> Result<()> {
        let keys = self.metadata.offset_keys();
        let there: HashSet<&str> =
            keys.iter().filter_map(|name| name.strip_prefix(prefix)).collect();
        let wanted: HashSet<&str> = names.tensors.iter().map(|(name, ..)| name.as_str()).collect();
        let is_missing = |(name, _, place): &&(String, _, Place)| {
            !matches!(place, Place::Count) && !there.contains(name.as_str())
        };
        let missing = names.tensors.iter().find(is_missing).map(|(name, ..)| name);
        let surplus = there.difference(&wanted).min_by(|a, b| by_number(a).cmp(by_number(b)));
        let misfit = self.misfit(names, prefix);
        let are_others =
            misfit.is_none() && missing.is_some() && (surplus.is_some() || there.is_empty());
        let problem = match (misfit, missing, surplus) {
            (Some(misfit), ..) => misfit,
            (None, Some(missing), Some(surplus)) => format!(
                "it has no tensor `{prefix}{missing}`, and the network has no place for its tensor \
                 `{prefix}{surplus}`"
            ),
            (None, Some(missing), None) => format!("it has no tensor `{prefix}{missing}`"),
            (None, None, Some(surplus)) => {
                format!("the network has no place for its tensor `{prefix}{surplus}`")
            }
            (None, None, None) => return Ok(()),
        };
        let (has, needs) = (count_modules(&there), count_modules(&wanted));
        let modules = if has == needs {
            String::new()
        } else {
            format!("; it has tensors of {has} modules, and the network of {needs}")
        };
        let dotted = format!("{prefix}.");
        let hint = if !are_others {
            String::new()
        } else if !prefix.is_empty() && keys.iter().any(|name| name.starts_with(&dotted)) {
            format!("; the prefix is perhaps `{dotted}`")
        } else {
            let wanted = names.first(prefix);
            format!(
                "; the network's tensors are {wanted}; `load_named_state_dict` is for modules of \
                 other names"
            )
        };
        Err(invalid(format!("{problem}{modules}{hint}")))
    }

    /// What is wrong with the first of these tensors that is there, but can't be taken.
    fn misfit(&self, names: &Names, prefix: &str) -> Option<String> {
        names.tensors.iter().find_map(|(name, shape, place)| {
            let name = format!("{prefix}{name}");
            let info = self.metadata.info(&name).filter(|_| !matches!(place, Place::Count))?;
            if info.shape != *shape {
                let is = &info.shape;
                return Some(format!("its tensor `{name}` is {is:?}, but {shape:?} is needed"));
            }
            let is_float = matches!(info.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
            let dtype = info.dtype;
            (!is_float).then(|| format!("its tensor `{name}` is of {dtype}, not of floats"))
        })
    }

    /// Copies the tensors, which were checked.
    pub(super) fn copy<E: Element>(
        &self,
        names: &Names,
        prefix: &str,
        to: &mut Network<E>,
    ) -> Result<()> {
        for (name, _, place) in &names.tensors {
            let Some(info) = self.metadata.info(&format!("{prefix}{name}")) else { continue };
            let to = match place {
                Place::Parameters(range) => &mut to.parameters_mut()[range.clone()],
                Place::Statistics(range) => &mut to.statistics_mut()[range.clone()],
                Place::Count => continue,
            };
            self.copy_tensor(info, to);
        }
        Ok(())
    }

    fn copy_tensor<E: Element>(&self, info: &TensorInfo, to: &mut [E]) {
        let bytes = &self.data[info.data_offsets.0..info.data_offsets.1];
        match info.dtype {
            Dtype::F16 => numbers::read(bytes, |bytes| f16::from_le_bytes(bytes).to_f64(), to),
            Dtype::BF16 => numbers::read(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64(), to),
            Dtype::F32 => numbers::read(bytes, |bytes| f32::from_le_bytes(bytes).into(), to),
            _ => numbers::read(bytes, f64::from_le_bytes, to),
        }
    }
}

/// What sorts names as their modules are: `10.weight` is after `2.weight`.
fn by_number(name: &str) -> impl Iterator<Item = (Option<u64>, &str)> {
    name.split('.').map(|part| (part.parse().ok(), part))
}

/// How many modules have tensors of these names.
fn count_modules(names: &HashSet<&str>) -> usize {
    let modules = names.iter().map(|name| name.rsplit_once('.').map_or("", |(module, _)| module));
    modules.collect::<HashSet<_>>().len()
}

/// Takes a JSON object, and refuses one in which a key occurs twice.
struct UniqueNames;

impl<'de> Visitor<'de> for UniqueNames {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("`{name}` is there twice")));
            }
            names.insert(name);
        }
        Ok(())
    }
}
