//! Normalizations, for the elements of one group: a column of a batch or a row's features.

/// x̂ = (x − μ)/√(σ² + ε), and σ².
pub fn normalize(x: &[f64], epsilon: f64) -> (Vec<f64>, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let normalized = x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect();
    (normalized, variance)
}

/// ∂ℒ/∂x of a group from x̂, σ² + ε and ∂ℒ/∂x̂.
pub fn normalize_backward(normalized: &[f64], variance: f64, delta: &[f64]) -> Vec<f64> {
    let n = normalized.len() as f64;
    let mean = delta.iter().sum::<f64>() / n;
    let along = delta.iter().zip(normalized).map(|(d, x)| d * x).sum::<f64>() / n;
    let through = |(d, x): (&f64, &f64)| (d - mean - x * along) / variance.sqrt();
    delta.iter().zip(normalized).map(through).collect()
}
