//! What the criterion benches and the roofline example share: the products that are measured, and
//! those who compute them.

pub(crate) mod contestants;
pub(crate) mod products;
