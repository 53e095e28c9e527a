//! Rows of up to 16 elements, of which several go together in a register.

use super::*;

/// Rows of few classes go together in a register; each still has the bits of a row by itself.
fn batched_rows_equal_single_ones<E: Element>() {
    for isa in Isa::available() {
        for (classes, rows) in (1..=20).flat_map(|classes| [1, 5, 16, 33].map(|r| (classes, r))) {
            let logits: Vec<E> = values(classes as u64, rows * classes);
            let labels: Vec<usize> = (0..rows).map(|i| i * 5 % classes).collect();
            let weights: Vec<E> = values(9, rows);
            let scale = Scale::weighted(E::HALF, &weights);
            let (losses, delta) = labelled(isa, classes, &logits, &labels, scale);
            for i in 0..rows {
                let row = i * classes..(i + 1) * classes;
                let scale = Scale::from(E::HALF * weights[i]);
                let alone = labelled(isa, classes, &logits[row.clone()], &labels[i..=i], scale);
                assert_eq!((&losses[i..=i], &delta[row]), (&alone.0[..], &alone.1[..]), "{isa}");
            }
        }
    }
}

/// One or two rows do not go together, so what is special is looked at both ways.
#[test]
fn special_rows_in_a_batch_are_what_they_are_alone() {
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    let logits = [
        [1e30, -1e30, 0.0],
        [-infinity, 2.0, -infinity],
        [-infinity, 2.0, 2.0],
        [-infinity; 3],
        [infinity, 0.0, 1.0],
        [0.5, nan, 1.0],
        [30.0, 0.0, 0.0],
    ];
    for (isa, label) in Isa::available().flat_map(|isa| (0..3).map(move |label| (isa, label))) {
        let labels = [label; 7];
        let bits = |(losses, delta): (Vec<f32>, Vec<f32>)| [losses, delta].concat();
        let run = |rows: core::ops::Range<usize>| {
            let (z, labels) = (logits[rows.clone()].concat(), &labels[rows]);
            let targets = ClassTargets::labels(labels).smoothed(0.1);
            let of = |is_divergence| targeted(isa, (labels.len(), 3), &z, targets, is_divergence);
            [labelled(isa, 3, &z, labels, 1.0.into()), of(false), of(true)]
        };
        let together = run(0..7);
        for row in 0..7 {
            for (alone, (losses, delta)) in run(row..row + 1).into_iter().zip(&together) {
                let expected = (vec![losses[row]], delta[3 * row..3 * row + 3].to_vec());
                for (a, b) in bits(alone).into_iter().zip(bits(expected)) {
                    assert!(crate::testing::same_bits(a, b), "{isa}: row {row}: {a} {b}");
                }
            }
        }
    }
}

/// The same computation with classes that are masked, which widens a row past 16 classes and
/// adds zeros to it.
fn few_and_many_classes_agree<E: Element>() {
    for isa in Isa::available() {
        for classes in 1..=16 {
            let logits: Vec<E> = values(classes as u64, classes);
            let mut wide = logits.clone();
            wide.resize(17, -E::INFINITY);
            for label in 0..classes {
                let few = labelled(isa, classes, &logits, &[label], E::HALF.into());
                let many = labelled(isa, 17, &wide, &[label], E::HALF.into());
                assert_eq!((few.0, &few.1[..]), (many.0, &many.1[..classes]), "{isa}: {classes}");
            }
        }
    }
}

/// Rows of more than 16 elements, of which those behind the first few add nothing.
fn narrow_and_wide_rows_agree<E: Element>() {
    const ROWS: usize = 37;
    let narrow = |wide: &[E], columns: usize| {
        wide.chunks(17).flat_map(|row| row[..columns].to_vec()).collect::<Vec<E>>()
    };
    for isa in Isa::available() {
        for columns in 1..=16 {
            let x: Vec<E> = values(columns as u64, ROWS * columns);
            let y: Vec<E> = probabilities(7, ROWS * columns);
            let weights: Vec<E> = values(9, ROWS);
            let low = widened(&x, columns, -E::INFINITY);
            let zeros = widened(&y, columns, E::ZERO);
            for loss in element_losses() {
                let scale = Scale::weighted(E::HALF, &weights);
                let is_0_at_0 =
                    !matches!(loss, ElementLoss::BinaryCrossEntropy { .. } | ElementLoss::Poisson);
                let wide = if is_0_at_0 { widened(&x, columns, E::ZERO) } else { low.clone() };
                let (losses, delta) = evaluate(isa, loss, (ROWS, columns), &x, &y, scale);
                let many = evaluate(isa, loss, (ROWS, 17), &wide, &zeros, scale);
                assert_eq!(losses, many.0, "{isa}: {loss:?}: {columns}");
                assert_eq!(delta, narrow(&many.1, columns), "{isa}: {loss:?}: {columns}");
            }
            let class_weights: Vec<E> = probabilities(3, 17);
            for (weighted, is_divergence) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let of = |q, columns| {
                    let targets = ClassTargets::probabilities(q);
                    if weighted { targets.weighted(&class_weights[..columns]) } else { targets }
                };
                let few = targeted(isa, (ROWS, columns), &x, of(&y, columns), is_divergence);
                let many = targeted(isa, (ROWS, 17), &low, of(&zeros, 17), is_divergence);
                assert_eq!(few.0, many.0, "{isa}: {columns} {weighted} {is_divergence}");
                assert_eq!(few.1, narrow(&many.1, columns), "{isa}: {columns}");
            }
        }
    }
}

/// However many elements go side by side, each has the bits that it has alone, and the losses of a
/// row are added in the order of [`crate::reduce`]: whatever its width, and wherever NaN is.
fn elements_have_their_bits_in_any_row<E: Element>() {
    const ELEMENTS: usize = 3 * 300;
    let mut x: Vec<E> = values(1, ELEMENTS);
    x.iter_mut().step_by(97).for_each(|x| *x = E::from_f64(f64::NAN));
    let y: Vec<E> = probabilities(7, ELEMENTS);
    // A squared error is added by a fused multiply-add.
    let losses = element_losses().into_iter().filter(|&loss| loss != ElementLoss::SquaredError);
    for (isa, loss) in losses.flat_map(|loss| Isa::available().map(move |isa| (isa, loss))) {
        let run = |shape, x: &[E], y: &[E]| evaluate(isa, loss, shape, x, y, E::ONE.into());
        let (mut terms, mut slopes) = (Vec::new(), Vec::new());
        for (x, y) in x.chunks(1).zip(y.chunks(1)) {
            let (term, slope) = run((1, 1), x, y);
            terms.extend(term);
            slopes.extend(slope);
        }
        for columns in (1..=40).chain([64, 255, 256, 257, 300]) {
            let rows = (ELEMENTS / columns).min(70);
            let area = rows * columns;
            let (sums, delta) = run((rows, columns), &x[..area], &y[..area]);
            let expected = terms[..area].chunks(columns).map(|row| crate::reduce::sum(isa, row));
            for (i, (sum, expected)) in sums.into_iter().zip(expected).enumerate() {
                let is_same = crate::testing::same_bits(sum, expected);
                assert!(is_same, "{isa}: {loss:?}: row {i} of {columns}: {sum}, not {expected}");
            }
            for (i, (slope, &expected)) in delta.into_iter().zip(&slopes).enumerate() {
                let is_same = crate::testing::same_bits(slope, expected);
                assert!(is_same, "{isa}: {loss:?}: {i} of {columns}: {slope}, not {expected}");
            }
        }
    }
}

#[test]
fn elements_have_the_bits_that_they_have_alone() {
    elements_have_their_bits_in_any_row::<f32>();
    elements_have_their_bits_in_any_row::<f64>();
}

#[test]
fn narrow_rows_have_the_bits_of_wide_ones() {
    narrow_and_wide_rows_agree::<f32>();
    narrow_and_wide_rows_agree::<f64>();
}

#[test]
fn few_classes_have_the_bits_of_a_row_alone() {
    batched_rows_equal_single_ones::<f32>();
    batched_rows_equal_single_ones::<f64>();
    few_and_many_classes_agree::<f32>();
    few_and_many_classes_agree::<f64>();
}
