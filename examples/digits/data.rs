//! The images, their labels, and which of them are for training.

use deltarule::data::{gather, stratified_split};
use std::error::Error;

/// The elements of an image.
pub(crate) const PIXELS: usize = 64;
/// The digits.
pub(crate) const CLASSES: usize = 10;
/// The seed of the split, the same for every run.
const SPLIT_SEED: u64 = 0;

const FILE: &[u8] = include_bytes!("../data/digits.csv.gz");

/// Images, (rows, [`PIXELS`]) row-major and scaled to 0..=1, and their labels.
pub(crate) struct Images {
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<usize>,
}

impl Images {
    /// The training and the test images, four fifths and one fifth of every digit.
    pub(crate) fn load() -> Result<(Self, Self), Box<dyn Error>> {
        let all = Self::parse(flate2::read::GzDecoder::new(FILE))?;
        let split = stratified_split(&all.labels, 0.2, SPLIT_SEED)?;
        Ok((all.choose(&split.train)?, all.choose(&split.test)?))
    }

    fn parse(csv: impl std::io::Read) -> Result<Self, Box<dyn Error>> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for record in csv::ReaderBuilder::new().has_headers(false).from_reader(csv).records() {
            let numbers: Vec<f32> = record?.deserialize(None)?;
            let [row @ .., label] = numbers.as_slice() else { continue };
            pixels.extend(row.iter().map(|pixel| pixel / 16.0));
            labels.push(*label as usize);
        }
        Ok(Self { pixels, labels })
    }

    fn choose(&self, rows: &[usize]) -> Result<Self, deltarule::Error> {
        let mut chosen = Self { pixels: vec![0.0; rows.len() * PIXELS], labels: Vec::new() };
        gather(&self.pixels, PIXELS, rows, &mut chosen.pixels)?;
        chosen.labels.extend(rows.iter().map(|&row| self.labels[row]));
        Ok(chosen)
    }
}
