//! What each layer makes of some rows.

use deltarule_kernels::Element;

use crate::error::{Result, checked_area, try_vec, whole_rows};
use crate::network::Network;

/// Gives `see` each layer's index and its outputs.
pub(super) fn each<E: Element>(
    network: &Network<E>,
    x: &[E],
    mut see: impl FnMut(usize, &[E]),
) -> Result<()> {
    let rows = whole_rows("x", x.len(), network.inputs())?;
    let mut input = x.to_vec();
    for (index, (shape, layer)) in network.dense_layers().iter().zip(network.layers()).enumerate() {
        let mut outputs = try_vec("activations", checked_area("x", rows, layer.outputs)?)?;
        let mut scratch = try_vec("scratch", shape.scratch_len::<E>(network.isa(), rows, 0)?)?;
        layer.forward(network.isa(), &input, None, &mut outputs, &mut scratch)?;
        see(index, &outputs);
        input = outputs;
    }
    Ok(())
}
