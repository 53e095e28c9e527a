//! ONNX models: networks for other runtimes, and from them.
//!
//! The format: <https://onnx.ai/onnx/repo-docs/IR.html> and <https://onnx.ai/onnx/operators/>.

mod export;
mod external;
mod graph;
mod import;
mod patterns;
mod pieces;
mod proto;
mod scaling;
mod shapes;
mod tensor;
#[cfg(test)]
mod tests;

use deltarule_kernels::Element;
use prost::Message;
use std::fs;
use std::path::Path;

use super::replace::replace;
use crate::error::{Error, Result};
use crate::network::Network;

const FORMAT: &str = "ONNX";

fn invalid(problem: impl Into<String>) -> Error {
    Error::Format { format: FORMAT, problem: problem.into() }
}

/// What stands after a network's outputs in an ONNX model.
///
/// ```
/// use deltarule::{Activation, Head, Network, Predictor};
/// let network = Network::builder(4).dense(3, Activation::Identity).build()?;
/// // Trained on cross-entropy its outputs are logits; the model's are to be probabilities.
/// let (again, head) = Network::<f32>::from_onnx(&network.to_onnx(Head::Softmax))?;
/// let softmax = head == Head::Softmax;
/// let predictor = Predictor::builder(&again).softmax(softmax).build()?;
/// let sum: f32 = predictor.predict(&[0.5, 1.0, -2.0, 0.0])?.iter().sum();
/// assert!((sum - 1.0).abs() < 1e-6);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// Nothing: the model's outputs are the network's.
    #[default]
    None,
    /// Softmax over each row: what the network gives are logits.
    Softmax,
    /// The logarithm of softmax.
    LogSoftmax,
    /// The sigmoid of each output: what the network gives are logits of classes of which any number
    /// may hold. Read back, it is the activation of the network's last layer.
    Sigmoid,
    /// e to the power of each output: what the network gives are logarithms, of rates after a
    /// training on [`Loss::Poisson`](crate::Loss::Poisson).
    Exp,
}

impl<E: Element> Network<E> {
    /// The bytes of an ONNX model that computes what [`Network::predict`] does, and `head` of it.
    ///
    /// It has opset 20 and IR version 9, an input `x` (batch, inputs) and an output `y` (batch,
    /// outputs), both of the network's element. Dense layers are `Gemm`, SiLU is `Sigmoid` and
    /// `Mul`, an embedding is `Gather`, and every other layer and activation is the operator of its
    /// name. Dropout is there too, and does nothing. Attributes such as the slope of a leaky ReLU
    /// are f32, whatever the element.
    ///
    /// The outputs that ONNX Runtime gives for f32 differ by at most 32 ulp of a row's largest in
    /// the tests' networks, which are a few layers deep, and mostly by less than 4.
    ///
    /// ```
    /// use deltarule::{Activation, Head, Network};
    /// let network = Network::builder(4)
    ///     .dense(16, Activation::Relu)
    ///     .dense(3, Activation::Identity)
    ///     .build()?;
    /// let model = network.to_onnx(Head::Softmax);
    /// let (again, head) = Network::<f32>::from_onnx(&model)?;
    /// assert_eq!(again.parameters(), network.parameters());
    /// assert_eq!(head, Head::Softmax);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn to_onnx(&self, head: Head) -> Vec<u8> {
        export::model(self, head).encode_to_vec()
    }

    /// Writes [`Network::to_onnx`] to a file, in place of one that may be there. Whenever the
    /// process is killed, there is the old file or the new one, and each is whole.
    ///
    /// ```
    /// # use deltarule::{Activation, Head, Network};
    /// # let network = Network::builder(2).dense(8, Activation::Tanh).build()?;
    /// # let path = std::env::temp_dir().join("deltarule_doc.onnx");
    /// network.save_onnx(&path, Head::None)?;
    /// let (again, head) = Network::<f32>::load_onnx(&path)?;
    /// assert_eq!((again.parameters(), head), (network.parameters(), Head::None));
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`], which names the file.
    pub fn save_onnx(&self, path: impl AsRef<Path>, head: Head) -> Result<()> {
        let bytes = self.to_onnx(head);
        replace(path.as_ref(), |to| to.write_all(&bytes))
    }

    /// The network of an ONNX model, and what stands after it.
    ///
    /// The model is to be one that PyTorch writes of an MLP, or skl2onnx of scikit-learn's
    /// `MLPClassifier` or `MLPRegressor`: a chain, with residual blocks perhaps, from one input to
    /// an output of floats. Read are opsets 7 to 26 and
    ///
    /// - `Gemm` and `MatMul`, `Add` of a bias or of a residual block;
    /// - `Add`, `Sub`, `Mul` and `Div` with constants, one for each column or one for all, as in
    ///   `(x - mean) / std`: after a dense layer they are in its weights, and elsewhere a batch
    ///   normalization whose running mean and variance they are; skl2onnx's `Scaler` likewise;
    /// - `BatchNormalization`, `LayerNormalization` and what stood for it before opset 17,
    ///   `Dropout`, which drops nothing in a prediction, even if its model is in training mode;
    /// - `Relu`, `LeakyRelu`, `Elu`, `Selu`, `Sigmoid`, `Tanh`, `Softplus`, `Mish`, `Gelu`,
    ///   `HardSwish`, `HardSigmoid` as PyTorch defines it, and `Clip`, which is ReLU6 and hard tanh
    ///   there; SiLU, and GELU, Mish and hard swish in their parts;
    /// - an embedding as [`Network::to_onnx`] writes it;
    /// - `Identity`, `Cast` from float to float, and `Flatten` and `Reshape` to rows, with a
    ///   number of rows that is a constant or the input's own, and `Squeeze` of a single output;
    /// - `Softmax`, `LogSoftmax` or `Exp` at the end, and skl2onnx's `Concat` of two probabilities and
    ///   `ZipMap`, of which the probabilities are the network's outputs.
    ///
    /// Weights may be initializers or constants of f32, f64, f16 or bf16; those in another file are
    /// for [`Network::load_onnx`], which knows where that is. Whatever the bytes are,
    /// memory stays below 1 MiB and 512 times their number.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Head, Network};
    /// let network = Network::builder(4)
    ///     .residual(|block| block.layer_norm().dense(4, Activation::Gelu))
    ///     .dense(3, Activation::Identity)
    ///     .build()?;
    /// let model = network.to_onnx(Head::None);
    /// let (again, _) = Network::<f32>::from_onnx(&model)?;
    /// let x = [0.5, 1.0, -2.0, 0.0];
    /// assert_eq!(again.predict(&x)?, network.predict(&x)?);
    /// let error = Network::<f32>::from_onnx(b"no model").unwrap_err();
    /// assert!(matches!(error, Error::Format { format: "ONNX", .. }));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Node`], which names the node and its operator, for one that is none of these;
    /// [`Error::Format`] if this is no model, or not of that form; and as
    /// [`NetworkBuilder::build`](crate::NetworkBuilder::build) if the layers make no network.
    pub fn from_onnx(bytes: &[u8]) -> Result<(Self, Head)> {
        Self::read_onnx(bytes, None)
    }

    /// The network of a model whose tensors may be in other files of this folder.
    fn read_onnx(bytes: &[u8], folder: Option<&Path>) -> Result<(Self, Head)> {
        let model = proto::Model::decode(bytes);
        let mut model = model.map_err(|error| invalid(error.to_string()))?;
        let beside = external::load(&mut model, folder)?;
        import::network(&model, bytes.len().saturating_add(beside))
    }

    /// [`Network::from_onnx`] of a file, and of the files beside it in which it keeps its weights,
    /// as PyTorch's exporter has it in `model.onnx.data` unless it is told `external_data=False`.
    ///
    /// Such a file has to be in the same folder, with a plain name; a link there is followed. All
    /// its tensors together may not have more bytes than it has, which count as the model's own for
    /// the memory that may be taken.
    ///
    /// ```
    /// use deltarule::{Error, Network};
    /// # let path = std::env::temp_dir().join("deltarule_load_doc.onnx");
    /// std::fs::write(&path, "no model").expect("the directory of temporary files is there");
    /// match Network::<f32>::load_onnx(&path) {
    ///     Err(Error::InFile { error, .. }) => assert!(matches!(*error, Error::Format { .. })),
    ///     other => panic!("{other:?}"),
    /// }
    /// # std::fs::remove_file(&path).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] if it can't be read; otherwise [`Error::InFile`], in which is an
    /// [`Error::File`] if a file beside it can't be read, and one more [`Error::InFile`] if that
    /// is too short or the like.
    pub fn load_onnx(path: impl AsRef<Path>) -> Result<(Self, Head)> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|error| Error::file(path, &error))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read_onnx(&bytes, Some(folder)).map_err(|error| error.in_file(path))
    }
}
