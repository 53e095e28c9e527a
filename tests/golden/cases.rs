//! Files of numbers that another program made.

use deltarule_kernels::{Element, Isa};
use std::collections::HashMap;

/// A list of cases, each a list of keys with numbers.
pub(crate) struct Golden(pub(crate) HashMap<String, HashMap<String, Vec<f64>>>);

impl Golden {
    pub(crate) fn parse(text: &str) -> Self {
        let mut cases = HashMap::new();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (key, rest) = line.split_once(' ').expect("a key and its values");
            if key == "case" {
                current = rest.to_owned();
                cases.insert(current.clone(), HashMap::new());
            } else {
                let numbers = rest.split(' ').map(|number| number.parse().unwrap()).collect();
                cases.get_mut(&current).unwrap().insert(key.to_owned(), numbers);
            }
        }
        Self(cases)
    }

    pub(crate) fn get<E: Element>(&self, case: &str, key: &str) -> Vec<E> {
        self.0[case][key].iter().map(|&x| E::from_f64(x)).collect()
    }

    pub(crate) fn labels(&self, case: &str) -> Vec<usize> {
        self.0[case]["labels"].iter().map(|&x| x as usize).collect()
    }

    pub(crate) fn check<E: Element>(
        &self,
        isa: Isa,
        case: &str,
        key: &str,
        got: &[E],
        tolerance: f64,
    ) {
        let expected = &self.0[case][key];
        assert_eq!(got.len(), expected.len(), "{case}: {key}");
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            let error = (got.to_f64() - expected).abs();
            let bound = tolerance * (1.0 + expected.abs());
            assert!(error <= bound, "{isa}: {case}: {key}[{i}] is {got}, not {expected}");
        }
    }
}
