//! The files with golden values.
#![allow(dead_code, reason = "each test uses a part")]

use deltarule_kernels::Element;
use std::collections::HashMap;
use std::fmt::Display;

/// A list of cases, each a list of keys with numbers, as `golden_file.py` writes them.
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

    /// Compares what `who` computed: the error may be `tolerance` · (1 + |expected|).
    pub(crate) fn check<E: Element>(
        &self,
        who: impl Display,
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
            assert!(error <= bound, "{who}: {case}: {key}[{i}] is {got}, not {expected}");
        }
    }
}
