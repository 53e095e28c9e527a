//! Weights in safetensors files, named as PyTorch's `state_dict` of an `nn.Sequential` names them.
//!
//! The format: <https://github.com/huggingface/safetensors>.

mod names;
mod notes;
mod read;

use ::safetensors::tensor::{Dtype, View, serialize};
use deltarule_kernels::Element;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use super::numbers;
use super::replace::replace;
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::network::Network;
use names::{Names, Place};
use read::{StateDict, of_file};

pub use notes::Notes;

const FORMAT: &str = "safetensors";
/// The key of [`Config`] in the metadata.
const KEY: &str = "deltarule";
/// The key by which other programs tell whose tensors these are.
const FORMAT_KEY: &str = "format";
/// The version of [`Config`].
const VERSION: u32 = 1;

/// What a network is, besides its weights.
#[derive(serde::Serialize, serde::Deserialize)]
struct Config {
    version: u32,
    written_by: String,
    inputs: usize,
    layers: Vec<Layer>,
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::Format { format: FORMAT, problem: problem.into() }
}

/// A tensor to be written: of these numbers, or the count of batches, which nobody keeps here.
struct Tensor<'a, E> {
    numbers: Option<&'a [E]>,
    shape: Vec<usize>,
}

impl<E: Element> View for Tensor<'_, E> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            None => Dtype::I64,
            Some(_) if size_of::<E>() == 4 => Dtype::F32,
            Some(_) => Dtype::F64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        let done = match self.numbers {
            Some(numbers) => numbers::write(numbers, &mut bytes),
            None => bytes.write_all(&0u64.to_le_bytes()),
        };
        debug_assert!(done.is_ok(), "writing to memory does not fail: {done:?}");
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.numbers.map_or(8, size_of_val)
    }
}

impl<E: Element> Network<E> {
    /// The bytes of a safetensors file of the weights, which PyTorch can load, with the layers in
    /// its metadata.
    ///
    /// The tensors are named as in the `state_dict` of an `nn.Sequential`, in which a dense layer
    /// is an `nn.Linear` and, unless its activation is the identity, the activation's module after
    /// it: `0.weight` and `0.bias`, then `2.weight`. A normalization's γ and β are `weight` and
    /// `bias`; batch normalization has `running_mean`, `running_var` and `num_batches_tracked`
    /// (0, which PyTorch ignores at any fixed momentum) too. A residual block is an `nn.Sequential`
    /// in it, so its first weight may be `3.0.weight`; an embedding is a list of `nn.Embedding`, so
    /// its second table is `0.1.weight`.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(2)
    ///     .dense(8, Activation::Tanh)
    ///     .dense(2, Activation::Identity)
    ///     .build()?;
    /// let bytes = network.to_safetensors()?;
    /// let again = Network::<f32>::from_safetensors(&bytes)?;
    /// assert_eq!(again.predict(&[0.5, 1.0])?, network.predict(&[0.5, 1.0])?);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if there are so many layers that their names need more than 100 MB;
    /// [`Error::OutOfRange`] for a γ other than 1, or a β other than 0, of a norm that learns none,
    /// since these are no tensors.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        self.to_safetensors_with(&Notes::new())
    }

    /// [`Network::to_safetensors`] with notes.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Notes};
    /// let network = Network::builder(2).dense(1, Activation::Identity).build()?;
    /// let bytes = network.to_safetensors_with(&Notes::new().with("rows", &41_000)?)?;
    /// let (_, notes) = Network::<f32>::from_safetensors_with(&bytes)?;
    /// assert_eq!(notes.get::<u64>("rows")?, 41_000);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::to_safetensors`], of layers and notes together.
    pub fn to_safetensors_with(&self, notes: &Notes) -> Result<Vec<u8>> {
        let config = Config {
            version: VERSION,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            inputs: self.inputs(),
            layers: self.specification().to_vec(),
        };
        let config = serde_json::to_string(&config).map_err(|error| invalid(error.to_string()))?;
        let own = [(KEY.to_owned(), config), (FORMAT_KEY.to_owned(), "pt".to_owned())];
        let metadata: HashMap<_, _> = own.into_iter().chain(notes.entries()).collect();
        let names = Names::of(self);
        for gamma in names.ones.iter().cloned() {
            let beta = gamma.end..gamma.end + gamma.len();
            for (argument, range, number, expected) in [
                ("gamma of a norm that learns none", gamma, E::ONE, "1"),
                ("beta of a norm that learns none", beta, E::ZERO, "0"),
            ] {
                let other = self.parameters()[range].iter().find(|&&it| it != number);
                if let Some(value) = other.map(|other| other.to_f64()) {
                    return Err(Error::OutOfRange { argument, value, expected });
                }
            }
        }
        let tensors = names.tensors.into_iter().map(|(name, shape, place)| {
            let numbers = match place {
                Place::Parameters(range) => Some(&self.parameters()[range]),
                Place::Statistics(range) => Some(&self.statistics()[range]),
                Place::Count => None,
            };
            (name, Tensor { numbers, shape })
        });
        serialize(tensors, Some(metadata)).map_err(|error| invalid(error.to_string()))
    }

    /// Writes [`Network::to_safetensors`] to a file, in place of one that may be there. Whenever
    /// the process is killed, there is the old file or the new one, and each is whole.
    ///
    /// ```
    /// # use deltarule::{Activation, Network};
    /// # let network = Network::builder(2).dense(8, Activation::Tanh).build()?;
    /// # let path = std::env::temp_dir().join("deltarule_doc.safetensors");
    /// network.save_safetensors(&path)?;
    /// let again = Network::<f32>::load_safetensors(&path)?;
    /// assert_eq!(again.parameters(), network.parameters());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`], which names the file; as [`Network::to_safetensors`].
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_safetensors_with(path, &Notes::new())
    }

    /// [`Network::save_safetensors`] with notes; [`Notes`] has an example.
    ///
    /// # Errors
    /// [`Error::File`], which names the file; as [`Network::to_safetensors_with`].
    pub fn save_safetensors_with(&self, path: impl AsRef<Path>, notes: &Notes) -> Result<()> {
        let bytes = self.to_safetensors_with(notes)?;
        replace(path.as_ref(), |to| to.write_all(&bytes))
    }

    /// The network that [`Network::to_safetensors`] has written. Numbers of another type are
    /// converted. Whatever the bytes are, memory stays below 1 MiB and 256 times their number.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network};
    /// let network = Network::builder(2).dense(8, Activation::Tanh).batch_norm().build()?;
    /// // In f64, where it was f32.
    /// let again = Network::<f64>::from_safetensors(&network.to_safetensors()?)?;
    /// assert_eq!(again.specification(), network.specification());
    /// assert_eq!(again.parameters()[0], f64::from(network.parameters()[0]));
    /// let error = Network::<f32>::from_safetensors(b"no tensors").unwrap_err();
    /// assert!(matches!(error, Error::Format { format: "safetensors", .. }));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if this is no such file, or it was not written here and so has no layers:
    /// then [`Network::copy_state_dict`] is for it. [`Error::Version`] if a later version of this
    /// crate wrote the layers in a way that this one does not know; and as
    /// [`NetworkBuilder::build`](crate::NetworkBuilder::build) if they make no network.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        StateDict::new(bytes)?.network()
    }

    /// [`Network::from_safetensors`], and the notes that are in its metadata.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(2).dense(1, Activation::Identity).build()?;
    /// let (_, notes) = Network::<f32>::from_safetensors_with(&network.to_safetensors()?)?;
    /// assert_eq!(notes.names().count(), 0);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there. What a note says is looked at by [`Notes::get`] only.
    pub fn from_safetensors_with(bytes: &[u8]) -> Result<(Self, Notes)> {
        let file = StateDict::new(bytes)?;
        Ok((file.network()?, file.notes()))
    }

    /// [`Network::from_safetensors`] of a file, which is mapped into memory and not read before.
    /// It must not be changed meanwhile, as it is not by [`Network::save_safetensors`].
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network};
    /// # let network = Network::builder(2).dense(8, Activation::Tanh).build()?;
    /// # let path = std::env::temp_dir().join("deltarule_load_doc.safetensors");
    /// # let x = [0.5, 1.0];
    /// network.save_safetensors(&path)?;
    /// let again = Network::<f32>::load_safetensors(&path)?;
    /// assert_eq!(again.predict(&x)?, network.predict(&x)?);
    /// # std::fs::remove_file(&path).unwrap();
    /// assert!(matches!(Network::<f32>::load_safetensors(&path), Err(Error::File { .. }))); // gone
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] if it can't be opened or is empty; otherwise [`Error::InFile`].
    pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Self> {
        of_file(path.as_ref(), Self::from_safetensors)
    }

    /// [`Network::load_safetensors`], and the notes that are in its metadata.
    ///
    /// # Errors
    /// As there.
    pub fn load_safetensors_with(path: impl AsRef<Path>) -> Result<(Self, Notes)> {
        of_file(path.as_ref(), Self::from_safetensors_with)
    }

    /// Takes the weights and running statistics of a safetensors file whose tensors are named as
    /// [`Network::to_safetensors`] names this network's, each with `prefix` before it; other
    /// tensors must not begin so. f16, bf16, f32 and f64 are converted.
    ///
    /// This is for what PyTorch has saved of an `nn.Sequential`, and
    /// [`Network::load_named_state_dict`] for what it has saved of others:
    ///
    /// ```python
    /// body = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    /// model = nn.ModuleDict({"body": body})
    /// safetensors.torch.save_file(model.state_dict(), "model.safetensors")
    /// ```
    ///
    /// ```
    /// # use deltarule::{Activation, Network};
    /// # fn load() -> deltarule::Result<()> {
    /// let layers = Network::builder(4).dense(16, Activation::Relu).dense(3, Activation::Identity);
    /// let mut network = layers.build()?;
    /// network.load_state_dict("model.safetensors", "body.")?;
    /// # Ok(())
    /// # }
    /// # assert!(load().unwrap_err().to_string().starts_with("model.safetensors: "));
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`], which names the first tensor that is of another shape or type, or else
    /// one that is missing and one that is too many; and how many modules have tensors, if that
    /// differs. Nothing was changed then.
    pub fn copy_state_dict(&mut self, bytes: &[u8], prefix: &str) -> Result<()> {
        self.copy_tensors(bytes, prefix, &Names::of(self))
    }

    fn copy_tensors(&mut self, bytes: &[u8], prefix: &str, names: &Names) -> Result<()> {
        let file = StateDict::new(bytes)?;
        file.check(names, prefix)?;
        file.copy(names, prefix, self)
    }

    /// [`Network::copy_state_dict`] of a file, which is mapped into memory and not read before. It
    /// must not be changed meanwhile.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// # let path = std::env::temp_dir().join("deltarule_state_doc.safetensors");
    /// let layers = Network::builder(4).dense(16, Activation::Relu).dense(3, Activation::Identity);
    /// let trained = layers.clone().seed(1).build()?;
    /// trained.save_safetensors(&path)?;
    /// let mut network = layers.build()?;
    /// network.load_state_dict(&path, "")?;
    /// assert_eq!(network.parameters(), trained.parameters());
    /// // Where the layers are others, the error names the tensor.
    /// let layers = Network::builder(4).dense(8, Activation::Relu).dense(3, Activation::Identity);
    /// let error = layers.build()?.load_state_dict(&path, "").unwrap_err();
    /// assert!(error.to_string().contains("`0.weight` is [16, 4], but [8, 4] is needed"));
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] if it can't be opened or is empty; otherwise [`Error::InFile`].
    pub fn load_state_dict(&mut self, path: impl AsRef<Path>, prefix: &str) -> Result<()> {
        of_file(path.as_ref(), |bytes| self.copy_state_dict(bytes, prefix))
    }

    /// [`Network::copy_state_dict`] of a model that is no `nn.Sequential`, with the names of its
    /// modules that have tensors, in the order of this network's layers.
    ///
    /// A module in another has both names, as in `block.fc`; an embedding has one module for each of
    /// its tables, named `embeddings.0` if they are in a list of this name. A tensor of a module
    /// that is not named is one too many, as there.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let layers = Network::builder(4).dense(16, Activation::Relu).dense(3, Activation::Identity);
    /// let saved = layers.clone().seed(1).build()?.to_safetensors()?;
    /// let mut network = layers.build()?;
    /// // What is saved here is named as of an `nn.Sequential`, in which the second is a ReLU.
    /// network.copy_named_state_dict(&saved, "", &["0", "2"])?;
    /// let error = network.copy_named_state_dict(&saved, "", &["fc1", "fc2"]).unwrap_err();
    /// assert!(error.to_string().contains("it has no tensor `fc1.weight`"));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::copy_state_dict`]; [`Error::Format`] if there are not as many names as this
    /// network has modules with tensors, which it then names.
    pub fn copy_named_state_dict(
        &mut self,
        bytes: &[u8],
        prefix: &str,
        modules: &[impl AsRef<str>],
    ) -> Result<()> {
        let names = Names::of(self).renamed(modules)?;
        self.copy_tensors(bytes, prefix, &names)
    }

    /// [`Network::copy_named_state_dict`] of a file, which is mapped into memory and not read
    /// before. It must not be changed meanwhile.
    ///
    /// ```python
    /// class Model(nn.Module):
    ///     def __init__(self):
    ///         super().__init__()
    ///         self.fc1, self.bn, self.fc2 = nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)
    ///
    ///     def forward(self, x):
    ///         return self.fc2(torch.relu(self.bn(self.fc1(x))))
    /// ```
    ///
    /// ```
    /// # use deltarule::{Activation, Network};
    /// # fn load() -> deltarule::Result<()> {
    /// let layers = Network::builder(4).dense(16, Activation::Identity).batch_norm();
    /// let layers = layers.activation(Activation::Relu).dense(3, Activation::Identity);
    /// let mut network = layers.build()?;
    /// network.load_named_state_dict("model.safetensors", "", &["fc1", "bn", "fc2"])?;
    /// # Ok(())
    /// # }
    /// # assert!(load().unwrap_err().to_string().starts_with("model.safetensors: "));
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] if it can't be opened or is empty; otherwise [`Error::InFile`].
    pub fn load_named_state_dict(
        &mut self,
        path: impl AsRef<Path>,
        prefix: &str,
        modules: &[impl AsRef<str>],
    ) -> Result<()> {
        of_file(path.as_ref(), |bytes| self.copy_named_state_dict(bytes, prefix, modules))
    }
}
