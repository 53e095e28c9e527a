//! What travels with a network in its file.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};

use super::{FORMAT_KEY, KEY};
use crate::error::{Error, Result};

/// What travels with a network in one safetensors file, each under a name: the schema of its table,
/// its scaling, the names of its classes, the day it was trained. A service that loads it has all
/// that belongs together, or nothing.
///
/// A note is any value that serde knows, as JSON in the file's metadata, where other programs find
/// it too: in Python, `json.loads(safetensors.safe_open(path, "pt").metadata()["scaling"])`.
///
/// ```
/// use deltarule::data::Scaling;
/// use deltarule::{Activation, Network, Notes, Predictor};
/// # let path = std::env::temp_dir().join("deltarule_notes_doc.safetensors");
/// let scaling = Scaling::new(vec![20.0, 1000.0], vec![0.1, 0.01])?;
/// let network = Network::builder(2).dense(3, Activation::Identity).build()?;
/// let notes = Notes::new().with("scaling", &scaling)?.with("classes", &["low", "mid", "high"])?;
/// network.save_safetensors_with(&path, &notes)?;
///
/// // Elsewhere, or after the next training.
/// let (network, notes) = Network::<f32>::load_safetensors_with(&path)?;
/// let scaling: Scaling = notes.get("scaling")?;
/// let predictor = Predictor::builder(&network).scaling(&scaling).build()?;
/// assert_eq!(notes.get::<Vec<String>>("classes")?[2], "high");
/// let error = notes.get::<Scaling>("scalings").unwrap_err();
/// assert_eq!(error.to_string(), "the note `scalings` is missing: there are `classes`, `scaling`");
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<String, String>);

impl Notes {
    /// No notes.
    ///
    /// ```
    /// use deltarule::Notes;
    /// assert_eq!(Notes::new().names().count(), 0);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// These notes and one more, in the place of one of that name.
    ///
    /// ```
    /// use deltarule::{Error, Notes};
    /// let notes = Notes::new().with("trained", &"2026-11-30")?.with("rows", &41_000)?;
    /// assert_eq!(notes.names().collect::<Vec<_>>(), ["rows", "trained"]);
    /// // What the file itself needs.
    /// assert!(matches!(notes.with("format", &0), Err(Error::Note { .. })));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Note`] if the name is `deltarule` or `format`, or the value can't be JSON.
    pub fn with(
        mut self,
        name: impl Into<String>,
        value: &(impl Serialize + ?Sized),
    ) -> Result<Self> {
        let name = name.into();
        if is_own(&name) {
            return Err(note(
                &name,
                "can't have this name, which means something else in the file",
            ));
        }
        match serde_json::to_string(value) {
            Ok(json) => drop(self.0.insert(name, json)),
            Err(error) => return Err(note(&name, format!("can't be JSON: {error}"))),
        }
        Ok(self)
    }

    /// A note.
    ///
    /// ```
    /// use deltarule::{Error, Notes};
    /// let notes = Notes::new().with("rows", &41_000)?;
    /// assert_eq!(notes.get::<u64>("rows")?, 41_000);
    /// assert!(matches!(notes.get::<String>("rows"), Err(Error::Note { .. })));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Note`] if there is none of this name, or it is no value of this type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let Some(text) = self.0.get(name) else {
            let names: Vec<_> = self.names().map(|name| format!("`{name}`")).collect();
            let there = if names.is_empty() { "no notes".into() } else { names.join(", ") };
            return Err(note(name, format!("is missing: there are {there}")));
        };
        serde_json::from_str(text)
            .map_err(|error| note(name, format!("is not of the type asked for: {error}")))
    }

    /// The names of all notes, sorted.
    ///
    /// ```
    /// use deltarule::Notes;
    /// let notes = Notes::new().with("b", &1)?.with("a", &2)?;
    /// assert!(notes.names().eq(["a", "b"]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Those among the metadata of a file.
    pub(super) fn of_metadata(metadata: Option<&HashMap<String, String>>) -> Self {
        let entries = metadata.into_iter().flatten();
        let notes = entries.filter(|(name, _)| !is_own(name));
        Self(notes.map(|(name, text)| (name.clone(), text.clone())).collect())
    }

    /// As metadata.
    pub(super) fn entries(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(name, text)| (name.clone(), text.clone()))
    }
}

/// Whether this is a name of what the file itself needs.
fn is_own(name: &str) -> bool {
    [KEY, FORMAT_KEY].contains(&name)
}

fn note(name: &str, problem: impl Into<String>) -> Error {
    Error::Note { name: name.to_owned(), problem: problem.into() }
}
