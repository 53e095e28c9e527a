//! Layers that become one: what a predictor does not have to compute.

use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

use crate::data::Scaling;
use crate::error::{Error, Result, check_length, try_vec};
use crate::layers::{Layer, LayerRef};
use crate::network::Network;

/// A column whose centre is further from 0 than so many of its deviations is centred by itself: in
/// a product that takes it as it is, its digits would drown in those of the centre.
const FARTHEST: f64 = 64.0;

/// A layer of a predictor to be. Numbers are in f64 until nothing is folded any more.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece<'a, E> {
    Linear(Linear),
    Map(Map),
    /// A layer that stays as it is, with its parameters.
    Other(Layer, &'a [E]),
    /// The input of the piece at this index is added.
    Residual(usize),
}

/// x ↦ σ(W x + b).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Linear {
    pub(super) inputs: usize,
    /// W, (outputs, inputs) row-major.
    pub(super) weights: Vec<f64>,
    pub(super) biases: Vec<f64>,
    pub(super) activation: Activation,
}

/// x ↦ (x − c)·f + s of each column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) centers: Vec<f64>,
    pub(super) factors: Vec<f64>,
    pub(super) shifts: Vec<f64>,
    /// Whether the centres are near enough to 0 for [`Linear::after`].
    is_near: bool,
}

/// The pieces of a network that takes what `scaling` makes of its inputs, none of which can be
/// folded into another. What maps the inputs of a dense layer is not, where weights are not
/// `exact`: small ones would lose all to large ones that share a scale with them, and the offset of
/// a column to what is lost of its weights.
pub(super) fn fold<'a, E: Element>(
    network: &'a Network<E>,
    scaling: Option<&Scaling>,
    exact: bool,
) -> Result<Vec<Piece<'a, E>>> {
    let mut pieces = pieces(network)?;
    if let Some(scaling) = scaling {
        check_length("scaling", scaling.columns(), network.inputs())?;
        let (at, map) = match network.layer(0) {
            Some(LayerRef::Embedding(layer)) => {
                let categorical: Vec<usize> = layer.tables().map(|(it, _)| it.column).collect();
                (1, Map::behind_embedding(scaling, &categorical, layer.outputs)?)
            }
            _ => (0, Map::of_scaling(scaling.centers().to_vec(), scaling.factors().to_vec())),
        };
        insert(&mut pieces, at, Piece::Map(map));
    }
    Ok(joined(pieces, exact))
}

/// The pieces, of which each has become one with those before it that it can be one with. One whose
/// input another piece reads, too, stays by itself.
fn joined<E>(pieces: Vec<Piece<'_, E>>, exact: bool) -> Vec<Piece<'_, E>> {
    let mut is_read_twice = vec![false; pieces.len()];
    for piece in &pieces {
        if let Piece::Residual(first) = piece {
            is_read_twice[*first] = true;
        }
    }
    let mut joined: Vec<(Piece<'_, E>, bool)> = Vec::with_capacity(pieces.len());
    // Where each piece is now, if another names it.
    let mut places = Vec::with_capacity(pieces.len());
    for (piece, stays) in pieces.into_iter().zip(is_read_twice) {
        places.push(joined.len());
        let piece = match piece {
            Piece::Residual(first) => Piece::Residual(places[first]),
            other => other,
        };
        joined.push((piece, stays));
        while let [.., (one, one_stays), (other, false)] = joined.as_slice()
            && let Some(both) = join(one, other, exact)
        {
            let both = (both, *one_stays);
            joined.truncate(joined.len() - 2);
            joined.push(both);
        }
    }
    joined.into_iter().map(|(piece, _)| piece).collect()
}

/// The layers that do something in evaluation.
fn pieces<E: Element>(network: &Network<E>) -> Result<Vec<Piece<'_, E>>> {
    let mut pieces = Vec::new();
    // The piece that each layer's index has become.
    let mut places = Vec::new();
    let mut parameters = network.parameters();
    for layer in network.layers() {
        places.push(pieces.len());
        let own = parameters.split_off(..layer.parameters()).unwrap_or_default();
        pieces.push(match layer {
            LayerRef::Dense(layer) => {
                let mut biases = try_vec("biases", layer.outputs)?;
                for (bias, b) in biases.iter_mut().zip(layer.biases) {
                    *bias = b.to_f64();
                }
                Piece::Linear(Linear {
                    inputs: layer.inputs,
                    weights: to_f64(layer.weights)?,
                    biases,
                    activation: layer.activation,
                })
            }
            LayerRef::BatchNorm(layer) => {
                let variances = layer.running_variance.iter();
                let deviations = variances.map(|v| (v.to_f64() + layer.epsilon).sqrt());
                let inverse: Vec<f64> = deviations.map(f64::recip).collect();
                let gamma = layer.gamma.iter().map(|gamma| gamma.to_f64());
                Piece::Map(Map::new(
                    to_f64(layer.running_mean)?,
                    gamma.zip(&inverse).map(|(gamma, inverse)| gamma * inverse).collect(),
                    to_f64(layer.beta)?,
                    &inverse,
                ))
            }
            LayerRef::LayerNorm(layer) => {
                let (epsilon, affine) = (layer.epsilon, layer.affine);
                Piece::Other(Layer::LayerNorm { epsilon, affine }, own)
            }
            LayerRef::Activation { activation: Activation::Identity, .. }
            | LayerRef::Dropout { .. } => continue,
            LayerRef::Activation { activation, .. } => {
                Piece::Other(Layer::Activation(activation), own)
            }
            LayerRef::Residual { first, .. } => Piece::Residual(places[first]),
            LayerRef::Embedding(layer) => {
                let columns = layer.tables().map(|(column, _)| column).collect();
                Piece::Other(Layer::Embedding { columns, init: None }, own)
            }
        });
    }
    Ok(pieces)
}

fn to_f64<E: Element>(x: &[E]) -> Result<Vec<f64>> {
    let mut wide = try_vec("parameters", x.len())?;
    for (wide, x) in wide.iter_mut().zip(x) {
        *wide = x.to_f64();
    }
    Ok(wide)
}

/// One piece that does what these two do one after the other, if there is one.
fn join<'a, E>(one: &Piece<'_, E>, other: &Piece<'_, E>, exact: bool) -> Option<Piece<'a, E>> {
    let joined = match (one, other) {
        (Piece::Linear(linear), Piece::Map(map)) => linear.before(map),
        (Piece::Map(map), Piece::Linear(linear)) if exact => linear.after(map),
        (Piece::Linear(linear), Piece::Other(Layer::Activation(activation), _)) => {
            linear.activated(*activation)
        }
        _ => None,
    };
    joined.map(Piece::Linear)
}

fn insert<'a, E>(pieces: &mut Vec<Piece<'a, E>>, at: usize, piece: Piece<'a, E>) {
    for piece in pieces.iter_mut() {
        match piece {
            Piece::Residual(first) if *first >= at => *first += 1,
            _ => {}
        }
    }
    pieces.insert(at, piece);
}

impl Linear {
    /// The map of what this gives: W ← diag(f) W, b ← (b − c)·f + s.
    fn before(&self, map: &Map) -> Option<Self> {
        if self.activation != Activation::Identity {
            return None;
        }
        let mut folded = self.clone();
        let rows = folded.weights.chunks_exact_mut(self.inputs).zip(&mut folded.biases);
        for ((row, bias), (center, factor, shift)) in rows.zip(map.columns()) {
            for w in row {
                *w *= factor;
            }
            *bias = (*bias - center) * factor + shift;
        }
        folded.checked()
    }

    /// This of what the map gives: W ← W diag(f), b ← b + W (s − f·c).
    fn after(&self, map: &Map) -> Option<Self> {
        if !map.is_near {
            return None;
        }
        let mut folded = self.clone();
        let rows = folded.weights.chunks_exact_mut(self.inputs).zip(&mut folded.biases);
        for (row, bias) in rows {
            for (w, (center, factor, shift)) in row.iter_mut().zip(map.columns()) {
                *bias += *w * (shift - factor * center);
                *w *= factor;
            }
        }
        folded.checked()
    }

    /// σ of this.
    fn activated(&self, activation: Activation) -> Option<Self> {
        let linear = self.activation == Activation::Identity;
        linear.then(|| Self { activation, ..self.clone() })
    }

    /// Nothing if a number has overflowed f32, or was not finite before.
    fn checked(self) -> Option<Self> {
        let mut numbers = self.weights.iter().chain(&self.biases);
        numbers.all(|&x| (x as f32).is_finite()).then_some(self)
    }
}

impl Map {
    /// `spread` is f, but for γ.
    fn new(centers: Vec<f64>, factors: Vec<f64>, shifts: Vec<f64>, spread: &[f64]) -> Self {
        let is_near = centers.iter().zip(spread).all(|(c, f)| (c * f).abs() <= FARTHEST);
        Self { centers, factors, shifts, is_near }
    }

    fn of_scaling(centers: Vec<f64>, factors: Vec<f64>) -> Self {
        let spread = factors.clone();
        Self::new(centers, factors, vec![0.0; spread.len()], &spread)
    }

    /// A scaling of inputs, of which some are categories, made one of an embedding's outputs: the
    /// vectors, which it leaves as they are, and then the other columns.
    fn behind_embedding(scaling: &Scaling, categorical: &[usize], outputs: usize) -> Result<Self> {
        let (all_centers, all_factors) = (scaling.centers(), scaling.factors());
        for &column in categorical {
            for (value, unchanged) in [(all_centers[column], 0.0), (all_factors[column], 1.0)] {
                if value != unchanged {
                    let expected = "a centre of 0 and a factor of 1 in a categorical column, as \
                                    `Scaling::except` makes it";
                    return Err(Error::OutOfRange { argument: "scaling", value, expected });
                }
            }
        }
        let vectors = outputs + categorical.len() - scaling.columns();
        let (mut centers, mut factors) = (vec![0.0; vectors], vec![1.0; vectors]);
        for column in (0..scaling.columns()).filter(|column| !categorical.contains(column)) {
            centers.push(all_centers[column]);
            factors.push(all_factors[column]);
        }
        Ok(Self::of_scaling(centers, factors))
    }

    fn columns(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        let columns = self.centers.iter().zip(&self.factors).zip(&self.shifts);
        columns.map(|((&center, &factor), &shift)| (center, factor, shift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, NetworkBuilder};
    use Activation::{Identity, Relu};

    /// A letter a piece, and the index after a residual's.
    fn shape(pieces: &[Piece<'_, f64>]) -> String {
        let letters = pieces.iter().map(|piece| match piece {
            Piece::Linear(linear) if linear.activation == Identity => "W".to_owned(),
            Piece::Linear(_) => "D".to_owned(),
            Piece::Map(_) => "M".to_owned(),
            Piece::Other(Layer::Activation(_), _) => "A".to_owned(),
            Piece::Other(..) => "L".to_owned(),
            Piece::Residual(first) => format!("+{first}"),
        });
        letters.collect()
    }

    #[test]
    fn whatever_nobody_else_reads_is_folded() {
        let new = || NetworkBuilder::<f64>::new(4);
        let around = |block: fn(Block) -> Block| new().dense(4, Identity).residual(block);
        let cases = [
            (new().dense(4, Identity).batch_norm().activation(Relu).dropout(0.5), "D"),
            (new().dense(4, Relu).batch_norm().batch_norm().dense(4, Identity), "DW"),
            (new().batch_norm().dense(4, Identity).batch_norm().batch_norm(), "W"),
            (new().dense(4, Relu).batch_norm(), "DM"),
            (new().batch_norm().activation(Relu).dense(4, Relu), "MAD"),
            (new().dense(4, Identity).activation(Relu).activation(Relu), "DA"),
            (new().layer_norm().dropout(0.5).activation(Identity).dense(4, Relu), "LD"),
            // The block's input is what comes out of the dense layer, or goes into the next.
            (around(|block| block.batch_norm()), "WM+1"),
            (around(|block| block.activation(Relu)), "WA+1"),
            (around(|block| block.batch_norm().dense(4, Relu)), "WD+1"),
            (around(|block| block.dense(4, Identity).batch_norm()), "WW+1"),
            (around(|block| block.dense(4, Relu)).batch_norm().dense(4, Relu), "WD+1D"),
            (new().batch_norm().residual(|block| block.dense(4, Relu)), "MD+1"),
            (
                new().dropout(0.5).dense(4, Identity).batch_norm().residual(|b| b.dropout(0.5)),
                "W+1",
            ),
        ];
        for (index, (builder, expected)) in cases.into_iter().enumerate() {
            let network = builder.build().unwrap();
            assert_eq!(shape(&fold(&network, None, true).unwrap()), expected, "case {index}");
        }
    }

    /// As a file may have them: one pass, and none for each of them.
    #[test]
    fn many_layers_are_folded() {
        let many = (0..30_000).fold(NetworkBuilder::<f64>::new(1), |builder, _| {
            builder.dense(1, Identity).batch_norm().residual(|block| block.dense(1, Relu))
        });
        let network = many.build().unwrap();
        let pieces = fold(&network, None, true).unwrap();
        assert_eq!(pieces.len(), 90_000);
        assert!(shape(&pieces).starts_with("WD+1WD+4WD+7"));
    }

    #[test]
    fn what_is_far_from_0_or_overflows_stays() {
        let mut network =
            NetworkBuilder::<f64>::new(2).batch_norm().dense(2, Relu).build().unwrap();
        for (mean, variance, expected) in [
            (63.9, 1.0, "D"),
            (64.1, 1.0, "MD"),
            (-64.1, 1.0, "MD"),
            (640.1, 1e2, "MD"),
            (639.0, 1e2, "D"),
        ] {
            network.statistics_mut().copy_from_slice(&[0.0, mean, 1.0, variance]);
            let folded = fold(&network, None, true).unwrap();
            assert_eq!(shape(&folded), expected, "{mean} {variance}");
        }
        network.statistics_mut().copy_from_slice(&[0.0, 0.0, 1.0, 1.0]);
        network.parameters_mut()[1] = 1e39;
        assert_eq!(shape(&fold(&network, None, true).unwrap()), "MD");
    }

    #[test]
    fn what_maps_the_inputs_of_inexact_weights_stays() {
        let builder = NetworkBuilder::<f64>::new(4).batch_norm().dense(4, Identity).batch_norm();
        let network = builder.activation(Relu).batch_norm().dense(4, Relu).build().unwrap();
        assert_eq!(shape(&fold(&network, None, true).unwrap()), "DD");
        assert_eq!(shape(&fold(&network, None, false).unwrap()), "MDMD");
        let scaling = Scaling::new(vec![0.0; 4], vec![2.0; 4]).unwrap();
        assert_eq!(shape(&fold(&network, Some(&scaling), false).unwrap()), "MMDMD");
    }
}
