//! Normalizations, for the elements of one group: a column of a batch or a row's features.

/// x̂ = (x − μ)/√(σ² + ε), and σ².
///
/// ```
/// use deltarule_kernels::reference;
/// assert_eq!(reference::normalize(&[1.0, 5.0], 0.0), (vec![-1.0, 1.0], 4.0));
/// ```
pub fn normalize(x: &[f64], epsilon: f64) -> (Vec<f64>, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let normalized = x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect();
    (normalized, variance)
}

/// ∂ℒ/∂x of a group from x̂, σ² + ε and ∂ℒ/∂x̂.
///
/// ```
/// use deltarule_kernels::reference;
/// let normalized = [-1.5f64.sqrt(), 0.0, 1.5f64.sqrt()];
/// let delta = reference::normalize_backward(&normalized, 4.0, &[1.0, 1.0, 4.0]);
/// // At right angles to 1 and to x̂.
/// let along: f64 = delta.iter().zip(normalized).map(|(delta, x)| delta * x).sum();
/// assert!(delta.iter().sum::<f64>().abs() < 1e-15 && along.abs() < 1e-15);
/// assert!((delta[1] + 0.5).abs() < 1e-15);
/// ```
pub fn normalize_backward(normalized: &[f64], variance: f64, delta: &[f64]) -> Vec<f64> {
    let n = normalized.len() as f64;
    let mean = delta.iter().sum::<f64>() / n;
    let along = delta.iter().zip(normalized).map(|(d, x)| d * x).sum::<f64>() / n;
    let through = |(d, x): (&f64, &f64)| (d - mean - x * along) / variance.sqrt();
    delta.iter().zip(normalized).map(through).collect()
}
