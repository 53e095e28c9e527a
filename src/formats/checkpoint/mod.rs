//! Trainings that can be taken up again.

mod file;

use deltarule_kernels::Element;
use std::fs;
use std::path::{Path, PathBuf};

use super::replace::replace;
use crate::error::{Error, Result};
use crate::fit::{Plan, Position};
use crate::network::Network;
use crate::trainer::{Settings, Trainer};

/// Where a training stands: all that the steps to come depend on.
///
/// That is the network's layers, weights and running statistics; the average of the weights, if one
/// is kept; the optimizer with its learning rate, moments and step; the seed of dropout's masks,
/// which are a function of it and the step; the loss with its class weights, and the parameter
/// groups. Of a [`Fit`](crate::Fit) it is also
/// the epoch and the batch in it, the seed of the rows' order, the schedule and what
/// [`ReduceOnPlateau`](crate::ReduceOnPlateau) has seen, the best weights for early stopping, and
/// the history. 100 steps are the same bits as 50, a checkpoint, and 50 more in another process.
///
/// Not in it are the rows themselves, the state of an [`UpdateRule`](crate::UpdateRule) of one's
/// own or of a closure, and the parts of a batch that were accumulated without a step.
///
/// ```
/// use deltarule::{Activation, Checkpoint, Loss, Network, Optimizer, Targets, Trainer};
/// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1));
/// let (x, targets) = ([2.0], Targets::Values(&[5.0]));
/// let mut trainer = builder.clone().build()?;
/// trainer.step(&x, targets)?;
/// let path = std::env::temp_dir().join("deltarule_doc.checkpoint");
/// trainer.checkpoint().write(&path)?;
///
/// let mut other = builder.build()?;
/// other.restore(&Checkpoint::read(&path)?)?;
/// assert_eq!(trainer.step(&x, targets)?, other.step(&x, targets)?);
/// assert_eq!(trainer.network().parameters(), other.network().parameters());
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint<E: Element = f32> {
    network: Network<E>,
    settings: Settings,
    steps: u64,
    states: Vec<Vec<E>>,
    average: Option<Averaged<E>>,
    fit: Option<Stand<E>>,
}

/// Where an average of the weights stands.
#[derive(Clone, Debug)]
struct Averaged<E> {
    weights: Weights<E>,
    updates: u64,
}

/// Where a fit stands.
#[derive(Clone, Debug)]
pub(crate) struct Stand<E> {
    pub(crate) plan: Plan,
    pub(crate) position: Position,
    /// Those of the best epoch, if there is one.
    pub(crate) best: Option<Weights<E>>,
}

/// What a network has learned.
#[derive(Clone, Debug)]
pub(crate) struct Weights<E> {
    pub(crate) parameters: Vec<E>,
    pub(crate) statistics: Vec<E>,
}

/// How often a [`Fit`](crate::Fit) writes a checkpoint.
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// # let path = std::env::temp_dir().join("deltarule_every_doc.checkpoint");
/// let fit = trainer.fit(&data).epochs(1).batch(1).on_epoch(|_| {
///     let checkpoint = Checkpoint::<f32>::read(&path).expect("it was written after step 3");
///     assert_eq!(checkpoint.steps(), 3);
///     std::ops::ControlFlow::Continue(())
/// });
/// fit.checkpoint(&path, Every::Steps(3)).run()?;
/// assert_eq!(Checkpoint::<f32>::read(&path)?.steps(), 4); // the end of the training
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so many epochs.
    Epochs(u64),
    /// After so many steps.
    Steps(u64),
}

/// Where and how often a fit writes checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Saving {
    pub(crate) path: PathBuf,
    pub(crate) every: Every,
}

impl<E: Element> Weights<E> {
    pub(crate) fn of(network: &Network<E>) -> Self {
        let (parameters, statistics) = (network.parameters(), network.statistics());
        Self { parameters: parameters.to_vec(), statistics: statistics.to_vec() }
    }

    /// Gives them to a network of the same layers.
    fn copy_to(&self, network: &mut Network<E>) {
        network.parameters_mut().copy_from_slice(&self.parameters);
        network.statistics_mut().copy_from_slice(&self.statistics);
    }

    /// A copy of a network of the same layers with them.
    pub(crate) fn network_like(&self, network: &Network<E>) -> Network<E> {
        let mut network = network.clone();
        self.copy_to(&mut network);
        network
    }
}

impl<E: Element> Checkpoint<E> {
    /// The network as it was.
    ///
    /// ```
    /// # use deltarule::{Activation, Checkpoint, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build()?;
    /// trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// let checkpoint = trainer.checkpoint();
    /// // To serve, or to train in another way.
    /// let predictor = checkpoint.network().freeze()?;
    /// assert_eq!(predictor.predict(&[2.0])?, trainer.network().predict(&[2.0])?);
    /// assert_eq!(checkpoint.steps(), 1);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn network(&self) -> &Network<E> {
        &self.network
    }

    /// A copy of the averaged network as it was, if the trainer kept one.
    ///
    /// ```
    /// # use deltarule::{Activation, Averaging, Checkpoint, Loss, Network, Optimizer, Targets};
    /// # use deltarule::Trainer;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1))
    ///     .average(Averaging::Exponential { decay: 0.9 })
    ///     .build()?;
    /// trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// let checkpoint = Checkpoint::<f32>::from_bytes(&trainer.checkpoint().to_bytes())?;
    /// let average = checkpoint.average().expect("it was kept");
    /// assert_eq!(average.parameters(), trainer.network().parameters()); // the first
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn average(&self) -> Option<Network<E>> {
        self.average.as_ref().map(|average| average.weights.network_like(&self.network))
    }

    /// The steps that had been made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Writes it to a file, in place of one that may be there.
    ///
    /// It is written under another name in the same directory, handed to the disk, and renamed: if
    /// the process is killed or the machine stops, there is the old checkpoint or the new one, and
    /// each is whole. A process that is killed in between may leave a hidden file with the ending
    /// `.tmp` behind.
    ///
    /// ```
    /// # use deltarule::{Activation, Checkpoint, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build()?;
    /// # let path = std::env::temp_dir().join("deltarule_write_doc.checkpoint");
    /// for _ in 0..3 {
    ///     trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    ///     trainer.checkpoint().write(&path)?; // in place of the last one
    /// }
    /// assert_eq!(Checkpoint::<f32>::read(&path)?.steps(), 3);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`], which names the file. The old one is untouched then, unless it is only
    /// that the directory could not be synced.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        replace(path.as_ref(), |to| file::write(self, to))
    }

    /// Reads a file.
    ///
    /// ```
    /// use deltarule::{Checkpoint, Error};
    /// # let path = std::env::temp_dir().join("deltarule_read_doc.checkpoint");
    /// std::fs::write(&path, "not a checkpoint")?;
    /// match Checkpoint::<f32>::read(&path) {
    ///     Err(Error::InFile { path: named, error }) => {
    ///         assert_eq!(named, path);
    ///         assert!(matches!(*error, Error::Format { .. }));
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # std::fs::remove_file(&path)?;
    /// assert!(matches!(Checkpoint::<f32>::read(&path), Err(Error::File { .. }))); // it is gone
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] if it can't be read; otherwise [`Error::InFile`], whose error is as in
    /// [`Checkpoint::from_bytes`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|error| Error::file(path, &error))?;
        Self::from_bytes(&bytes).map_err(|error| error.in_file(path))
    }

    /// The bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let done = file::write(self, &mut bytes);
        debug_assert!(done.is_ok(), "writing to memory does not fail: {done:?}");
        bytes
    }

    /// What [`Checkpoint::to_bytes`] has made. Whatever the bytes are, memory stays below 1 MiB
    /// and 128 times their number.
    ///
    /// ```
    /// # use deltarule::{Activation, Checkpoint, Error, Loss, Network, Optimizer, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build()?;
    /// // To a database, say, and back.
    /// let bytes = trainer.checkpoint().to_bytes();
    /// let checkpoint = Checkpoint::<f32>::from_bytes(&bytes)?;
    /// assert_eq!(checkpoint.network().parameters(), trainer.network().parameters());
    /// let cut_off = Checkpoint::<f32>::from_bytes(&bytes[..bytes.len() - 1]);
    /// assert!(matches!(cut_off, Err(Error::Format { .. })));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Version`] if a later version of this crate wrote it in a way that this one does not
    /// know; [`Error::Format`] if it is no checkpoint, is cut off, damaged or of another element
    /// type; as [`NetworkBuilder::build`](crate::NetworkBuilder::build) if its layers make no
    /// network.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        file::read(bytes)
    }

    /// With where a fit stands.
    pub(crate) fn with_fit(mut self, fit: Stand<E>) -> Self {
        self.fit = Some(fit);
        self
    }

    /// Where a fit stood.
    pub(crate) fn into_fit(self) -> Option<Stand<E>> {
        self.fit
    }

    /// Where a fit stood.
    pub(crate) fn fit(&self) -> Option<&Stand<E>> {
        self.fit.as_ref()
    }

    /// Checks that a trainer could go on from here.
    pub(crate) fn check(&self, trainer: &Trainer<E>) -> Result<()> {
        let (own, network) = (trainer.network(), &self.network);
        check_same("number of inputs".to_owned(), network.inputs(), own.inputs())?;
        let (layers, own) = (network.specification(), own.specification());
        check_same("number of layers".to_owned(), layers.len(), own.len())?;
        for (index, (layer, own)) in layers.iter().zip(own).enumerate() {
            check_same(format!("layer {index}"), layer, own)?;
        }
        check_described(self.settings.describe(), trainer.settings().describe())?;
        trainer.check_states(&self.states)
    }
}

/// An error unless the two are equal.
fn check_same<T: PartialEq + core::fmt::Debug>(what: String, checkpoint: T, own: T) -> Result<()> {
    if checkpoint == own {
        return Ok(());
    }
    let (checkpoint, own) = (format!("{checkpoint:?}"), format!("{own:?}"));
    Err(Error::OtherTraining { what, checkpoint, own })
}

/// An error that names the first of some choices, in words, that differs.
pub(crate) fn check_described<const N: usize>(
    checkpoint: [(&'static str, String); N],
    own: [(&'static str, String); N],
) -> Result<()> {
    for ((what, checkpoint), (_, own)) in checkpoint.into_iter().zip(own) {
        if checkpoint != own {
            return Err(Error::OtherTraining { what: what.to_owned(), checkpoint, own });
        }
    }
    Ok(())
}

impl<E: Element> Trainer<E> {
    /// Where the training stands now: [`Checkpoint`].
    pub fn checkpoint(&self) -> Checkpoint<E> {
        Checkpoint {
            network: self.network().clone(),
            settings: self.settings(),
            steps: self.steps(),
            states: self.states().map(<[E]>::to_vec).collect(),
            average: self.average().map(|average| Averaged {
                weights: Weights::of(average.network()),
                updates: average.updates(),
            }),
            fit: None,
        }
    }

    /// Goes on from where a training stood: the steps to come have the bits that they would have
    /// had there. This trainer has to be built as that one was, but for `max_batch`, the threads
    /// and the learning rate; an own loss or optimizer is put in before, and that it is the same,
    /// or stands where it stood, can't be seen. What was accumulated is forgotten.
    ///
    /// Whoever wants to go on in another way, with another loss say, puts
    /// [`Checkpoint::network`] in a new trainer.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss::MeanSquaredError, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let builder = |optimizer| Trainer::builder(network.clone(), MeanSquaredError, optimizer);
    /// let mut trainer = builder(Optimizer::adam(0.1)).build()?;
    /// trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// let checkpoint = trainer.checkpoint();
    /// // The rate is the checkpoint's.
    /// let mut other = builder(Optimizer::adam(0.5)).max_batch(1).build()?;
    /// other.restore(&checkpoint)?;
    /// assert_eq!((other.steps(), other.optimizer()), (1, &Optimizer::adam(0.1)));
    /// let mut another = builder(Optimizer::sgd(0.1)).build()?;
    /// let error = another.restore(&checkpoint).unwrap_err();
    /// assert!(error.to_string().starts_with("the checkpoint's optimizer is "));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OtherTraining`] if layers, loss, reduction, class weights, optimizer, parameter
    /// groups, the seed of the masks or the average differ. Nothing was changed then.
    pub fn restore(&mut self, checkpoint: &Checkpoint<E>) -> Result<()> {
        checkpoint.check(self)?;
        self.set_learning_rate(checkpoint.settings.optimizer.learning_rate())?;
        let network = self.network_mut();
        network.parameters_mut().copy_from_slice(checkpoint.network.parameters());
        network.statistics_mut().copy_from_slice(checkpoint.network.statistics());
        let states: Vec<&[E]> = checkpoint.states.iter().map(Vec::as_slice).collect();
        self.resume(checkpoint.steps, &states)?;
        match &checkpoint.average {
            Some(Averaged { weights, updates }) => {
                self.resume_average(&weights.network_like(&checkpoint.network), *updates)
            }
            None => Ok(()),
        }
    }
}
