//! Every lane method, on every ISA that the CPU has, against scalar arithmetic.

use super::{Lanes, Mask, Simd, Transpose};
use crate::dispatch::Kernel;
use crate::{Element, Isa};

/// Values that separate a right method from a wrong one.
fn specials<E: Element>() -> Vec<E> {
    [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 1e-3, -7.25, f64::INFINITY]
        .into_iter()
        .chain([f64::NEG_INFINITY, f64::NAN, 1e30, -1e-30, 1e-42])
        .map(E::from_f64)
        .collect()
}

/// Equal in value and sign, or both NaN.
fn same<E: Element>(a: E, b: E) -> bool {
    let (a, b) = (a.to_f64(), b.to_f64());
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

struct Methods<E>(core::marker::PhantomData<E>);

/// Makes kernels that check lanes and groups of them.
macro_rules! on_lanes_and_groups {
    ($($Check:ident),+) => { $(
        impl<E: Element> Kernel for $Check<E> {
            type Output = ();

            fn run<S: Simd>(self, simd: S) {
                Self::check_lanes::<E::Lanes<S>>(simd);
                Self::check_lanes::<<E::Lanes<S> as Lanes>::Group>(simd);
            }
        }
    )+ };
}
on_lanes_and_groups!(Methods, Scaling, Named, Partial, Places, Columns, WordsOrdered);

impl<E: Element> Methods<E> {
    /// Compares a method of two arguments with a scalar function on every pair of specials.
    fn check<V: Lanes<Element = E>>(
        simd: V::Simd,
        name: &str,
        method: &dyn Fn(V, V) -> V,
        scalar: &dyn Fn(f64, f64) -> f64,
    ) {
        let values = specials::<E>();
        for &a in &values {
            for &b in &values {
                let mut out = vec![E::ZERO; V::LEN];
                method(V::splat_in(simd, a), V::splat_in(simd, b)).store(&mut out);
                let expected = E::from_f64(scalar(a.to_f64(), b.to_f64()));
                for &o in &out {
                    assert!(same(o, expected), "{name}({a}, {b}) = {o}, expected {expected}");
                }
            }
        }
    }
}

impl<E: Element> Methods<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        let check = Self::check::<V>;
        let yes = |v: V, mask| v.splat(E::ONE).select(mask, v.splat(E::ZERO));
        let from_bool = |b| if b { 1.0 } else { 0.0 };
        check(simd, "add", &|a, b| a + b, &|a, b| a + b);
        check(simd, "sub", &|a, b| a - b, &|a, b| a - b);
        check(simd, "neg", &|a, _| -a, &|a, _| -a);
        check(simd, "abs", &|a, _| a.abs(), &|a, _| a.abs());
        check(simd, "round", &|a, _| a.round(), &|a, _| a.round_ties_even());
        check(simd, "greater_or", &|a, b| a.greater_or(b), &|a, b| if a > b { a } else { b });
        check(simd, "less_or", &|a, b| a.less_or(b), &|a, b| if a < b { a } else { b });
        check(simd, "lt", &|a, b| yes(a, a.lt(b)), &|a, b| from_bool(a < b));
        check(simd, "le", &|a, b| yes(a, a.le(b)), &|a, b| from_bool(a <= b));
        check(simd, "eq", &|a, b| yes(a, a.eq(b)), &|a, b| from_bool(a == b));
        check(simd, "not", &|a, b| yes(a, !a.lt(b)), &|a, b| {
            from_bool(a.partial_cmp(&b) != Some(core::cmp::Ordering::Less))
        });
        check(simd, "and", &|a, b| yes(a, a.lt(b) & a.is_nan()), &|_, _| 0.0);
        check(simd, "or", &|a, b| yes(a, a.lt(b) | a.is_nan()), &|a, b| {
            from_bool(a < b || a.is_nan())
        });
        check(
            simd,
            "any",
            &|a, b| a.splat(if a.lt(b).any() { E::ONE } else { E::ZERO }),
            &|a, b| from_bool(a < b),
        );
        check(
            simd,
            "all",
            &|a, b| a.splat(if a.lt(b).all() { E::ONE } else { E::ZERO }),
            &|a, b| from_bool(a < b),
        );
        check(simd, "with_sign_of", &|a, b| a.with_sign_of(b), &f64::copysign);
    }
}

/// 2ⁿ and scaling by it, through subnormal results and overflow.
struct Scaling<E>(core::marker::PhantomData<E>);

impl<E: Element> Scaling<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        let (emax, mantissa) = if size_of::<E>() == 4 { (127, 23) } else { (1023, 52) };
        let mut out = vec![E::ZERO; V::LEN];
        for n in (1 - emax)..=emax {
            V::splat_in(simd, E::from_f64(f64::from(n))).pow2().store(&mut out);
            assert_eq!(out[0].to_f64(), 2f64.powi(n), "2^{n}");
        }
        for n in -(emax + mantissa + 5)..=emax + 5 {
            for x in [0.75, 1.0, 1.390_625, 1.999] {
                let x = E::from_f64(x);
                let lanes = V::splat_in(simd, x);
                lanes.scale_by_pow2(lanes.splat(E::from_f64(f64::from(n)))).store(&mut out);
                // f32: exact in f64, rounded once. f64: halves that do not underflow, then one
                // rounding product.
                let exact = if size_of::<E>() == 4 {
                    x.to_f64() * 2f64.powi(n)
                } else {
                    x.to_f64() * 2f64.powi(n / 2) * 2f64.powi(n - n / 2)
                };
                assert_eq!(out[0], E::from_f64(exact), "{x} * 2^{n}");
            }
        }
    }
}

/// What integers in the low bits name: the entry of a table, and a power of two.
struct Named<E>(core::marker::PhantomData<E>);

impl<E: Element> Named<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        let (bias, magic) = if size_of::<E>() == 4 {
            (127.0, 12_582_912.0)
        } else {
            (1023.0, 6_755_399_441_055_744.0)
        };
        let table = [1.0, -2.0, 3.5, f64::NAN, -0.0, 6.0, f64::INFINITY, 8.0].map(E::from_f64);
        let mut out = vec![E::ZERO; V::LEN];
        for start in -20..=20 {
            let integer = |i| f64::from(start + i as i32);
            let source: Vec<E> = (0..V::LEN).map(|i| E::from_f64(integer(i) + magic)).collect();
            let lanes = V::load(simd, &source);
            lanes.entry_of(&table).store(&mut out);
            for (i, &value) in out.iter().enumerate() {
                let expected = table[integer(i).rem_euclid(8.0) as usize];
                assert!(same(value, expected), "entry {} is {value}", integer(i));
            }
            // Eight eighths make a 1 in the exponent.
            let eighths = V::splat_in(simd, E::from_f64(8.0 * (bias + f64::from(start)) + magic));
            eighths.shift_eighths_to_exponent().store(&mut out);
            assert_eq!(out[0].to_f64(), 2f64.powi(start));
        }
    }
}

/// Partial loads and stores at every count leave the rest alone.
struct Partial<E>(core::marker::PhantomData<E>);

impl<E: Element> Partial<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        let len = V::LEN;
        let source: Vec<E> = (1..=len).map(|i| E::from_f64(i as f64)).collect();
        for count in 0..=len {
            let lanes = V::load_partial(simd, &source[..count]);
            let mut all = vec![E::HALF; len];
            lanes.store(&mut all);
            for (i, &value) in all.iter().enumerate() {
                assert_eq!(value, if i < count { source[i] } else { E::ZERO });
            }
            let mut some = vec![E::HALF; len];
            V::load(simd, &source).store_partial(&mut some[..count]);
            for (i, &value) in some.iter().enumerate() {
                assert_eq!(value, if i < count { source[i] } else { E::HALF });
            }
        }
    }
}

/// Blocks of every size, transposed.
struct Transposed<E>(core::marker::PhantomData<E>);

impl<E: Element> Kernel for Transposed<E> {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        let simd = E::Lanes::<S>::transposer(simd);
        let len = <<E::Lanes<S> as Lanes>::Transposer as Lanes>::LEN;
        let stride = len + 3;
        for rows in 0..=len {
            for columns in 0..=len {
                // Nothing follows the block's last element.
                let end = if rows == 0 { 0 } else { (rows - 1) * stride + columns };
                let from: Vec<E> = (0..end).map(|i| E::from_f64(i as f64 + 1.0)).collect();
                // SAFETY: the buffer holds every row up to the last column of the last one.
                let square = unsafe {
                    <E::Lanes<S> as Lanes>::Transposer::load_transposed_some(
                        simd,
                        from.as_ptr(),
                        stride,
                        rows,
                        columns,
                    )
                };
                for (j, lanes) in square.as_ref().iter().enumerate() {
                    let mut column = vec![E::HALF; len];
                    lanes.store(&mut column);
                    for (i, &value) in column.iter().enumerate().take(rows) {
                        let expected = if j < columns { from[i * stride + j] } else { E::ZERO };
                        assert_eq!(value, expected, "{rows}x{columns}: ({i}, {j})");
                    }
                }
            }
        }
    }
}

/// Rows of up to 16 elements become columns and rows again, whether or not something follows them,
/// and nothing else is written.
struct Columns<E>(core::marker::PhantomData<E>);

impl<E: Element> Columns<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        for columns in 1..=16 {
            for rows in 0..=V::LEN {
                let count = rows * columns;
                let from: Vec<E> = (0..count + 20).map(|i| E::from_f64(i as f64 + 1.0)).collect();
                for end in [count, count + 1, count + 20] {
                    let mut block = [V::splat_in(simd, E::HALF); 16];
                    super::columns::load(simd, &from[..end], columns, &mut block);
                    for (j, &lanes) in block.iter().enumerate().take(columns) {
                        let mut column = vec![E::ZERO; V::LEN];
                        lanes.store(&mut column);
                        for (i, &value) in column.iter().enumerate().take(rows) {
                            let expected = from[i * columns + j];
                            assert_eq!(value, expected, "{rows}x{columns}: ({j}, {i})");
                        }
                    }
                    let mut to = vec![E::HALF; count + 20];
                    super::columns::store(simd, &block, columns, &mut to[..count]);
                    assert_eq!(to[..count], from[..count], "{rows}x{columns}");
                    assert_eq!(to[count..], [E::HALF; 20], "{rows}x{columns}");
                }
            }
        }
    }
}

#[test]
fn rows_become_columns_and_rows_again() {
    for isa in Isa::available() {
        isa.run(Columns::<f32>(core::marker::PhantomData));
        isa.run(Columns::<f64>(core::marker::PhantomData));
    }
}

/// Lanes of f32 become f64 and f32 again.
struct Halves;

impl Kernel for Halves {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        for chunk in specials::<f32>().chunks(S::F32::LEN) {
            let [low, high] = simd.widen(S::F32::load_partial(simd, chunk));
            let mut wide = [0.5; 16];
            low.store(&mut wide);
            high.store(&mut wide[S::F64::LEN..]);
            for (&wide, &x) in wide.iter().zip(chunk) {
                assert!(same(wide, f64::from(x)), "{x} became {wide}");
            }
            let third = low.splat(1.0 / 3.0);
            let mut narrow = [0.5; 16];
            simd.narrow([low * third, high * third]).store(&mut narrow);
            for (&narrow, &x) in narrow.iter().zip(chunk) {
                assert!(same(narrow, (f64::from(x) * (1.0 / 3.0)) as f32), "{x} / 3 = {narrow}");
            }
        }
    }
}

/// Words whose halves a wrong method would confuse.
const WORDS: [u64; 16] = [
    0,
    1,
    2,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_0000_0005,
    0x8000_0000_1234_5678,
    0xdead_beef_8765_4321,
    0xffff_ffff_0000_0003,
    0xffff_ffff_ffff_ffff,
    0x1234_5678_9abc_def0,
    0x0fed_cba9_c765_4321,
];

/// Products and shifts of words in lanes of f64.
struct WordsOfLanes;

impl Kernel for WordsOfLanes {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        let all = WORDS.map(f64::from_bits);
        for words in all.chunks(S::F64::LEN) {
            let a = S::F64::load(simd, words);
            let check = |lanes: S::F64, scalar: &dyn Fn(u64) -> u64| {
                let mut out = vec![0.0; S::F64::LEN];
                lanes.store(&mut out);
                for (out, word) in out.iter().zip(words) {
                    assert_eq!(out.to_bits(), scalar(word.to_bits()), "of {:#x}", word.to_bits());
                }
            };
            check(simd.upper_words(a), &|word| word >> 32);
            for b in WORDS {
                let lower = |word: u64| word & 0xffff_ffff;
                let product = simd.mul_words(a, a.splat(f64::from_bits(b)));
                check(product, &|word| lower(word) * lower(b));
            }
        }
    }
}

/// Lower halves of words as representations, and which of them are less.
struct WordsOrdered<E>(core::marker::PhantomData<E>);

impl<E: Element> WordsOrdered<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        // As many bits as a lane of E has.
        let integer = |word: u64| {
            if size_of::<E>() == 4 { i64::from(word as i32) } else { i64::from(word as u32) }
        };
        let all = [WORDS; 2].concat();
        for words in all.chunks(V::LEN) {
            let lanes = V::load_words(simd, words);
            let one = lanes.splat(E::ONE);
            for other in WORDS {
                let is_less = lanes.int_lt(V::load_words(simd, &[other; 32]));
                let mut out = vec![E::HALF; V::LEN];
                one.select(is_less, lanes.splat(E::ZERO)).store(&mut out);
                for (&out, &word) in out.iter().zip(words) {
                    let expected = integer(word) < integer(other);
                    assert_eq!(out == E::ONE, expected, "{word:#x} < {other:#x}");
                }
            }
        }
    }
}

/// Every bf16 and every byte is read as the number that it is.
struct CompactLoads<E>(core::marker::PhantomData<E>);

impl<E: Element> Kernel for CompactLoads<E> {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        let len = E::Lanes::<S>::LEN;
        let mut lanes = vec![E::HALF; len];
        let all: Vec<u16> = (0..=u16::MAX).collect();
        for halves in all.chunks(2 * len) {
            // SAFETY: twice LEN divides their number.
            let pairs = unsafe { E::Lanes::<S>::load_bf16_pairs_ptr(simd, halves.as_ptr()) };
            for (at, of_pair) in pairs.into_iter().enumerate() {
                of_pair.store(&mut lanes);
                for (pair, &lane) in halves.chunks(2).zip(&lanes) {
                    let expected = f32::from_bits(u32::from(pair[at]) << 16);
                    let is_same = same(lane, E::from_f64(f64::from(expected)));
                    assert!(is_same, "{:#x} became {lane}", pair[at]);
                }
            }
        }
        let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        for bytes in all.chunks(len) {
            // SAFETY: LEN divides their number.
            unsafe { E::Lanes::<S>::load_i8_ptr(simd, bytes.as_ptr()) }.store(&mut lanes);
            for (&byte, &lane) in bytes.iter().zip(&lanes) {
                assert_eq!(lane, E::from_f64(f64::from(byte)));
            }
        }
    }
}

#[test]
fn bf16_and_bytes_are_read_as_the_numbers_that_they_are() {
    for isa in Isa::available() {
        isa.run(CompactLoads::<f32>(core::marker::PhantomData));
        isa.run(CompactLoads::<f64>(core::marker::PhantomData));
    }
}

#[test]
fn words_are_multiplied_shifted_and_ordered() {
    for isa in Isa::available() {
        isa.run(WordsOfLanes);
        isa.run(WordsOrdered::<f32>(core::marker::PhantomData));
        isa.run(WordsOrdered::<f64>(core::marker::PhantomData));
    }
}

#[test]
fn f32_lanes_become_f64_and_f32_again() {
    for isa in Isa::available() {
        isa.run(Halves);
    }
}

#[test]
fn blocks_are_transposed() {
    for isa in Isa::available() {
        isa.run(Transposed::<f32>(core::marker::PhantomData));
        isa.run(Transposed::<f64>(core::marker::PhantomData));
    }
}

/// Lanes trade places at each distance, and the first ones are kept.
struct Places<E>(core::marker::PhantomData<E>);

impl<E: Element> Places<E> {
    fn check_lanes<V: Lanes<Element = E>>(simd: V::Simd) {
        let len = V::LEN;
        let source: Vec<E> = (1..=len).map(|i| E::from_f64(i as f64)).collect();
        let lanes = V::load(simd, &source);
        assert_eq!(lanes.first(), E::ONE);
        let mut swapped = vec![E::ZERO; len];
        for distance in [1, 2, 4, 8, 16].into_iter().filter(|&distance| distance < len) {
            match distance {
                1 => lanes.swap_lanes::<1>(),
                2 => lanes.swap_lanes::<2>(),
                4 => lanes.swap_lanes::<4>(),
                8 => lanes.swap_lanes::<8>(),
                _ => lanes.swap_lanes::<16>(),
            }
            .store(&mut swapped);
            for i in 0..len {
                assert_eq!(swapped[i], source[i ^ distance], "lane {i} at distance {distance}");
            }
        }
        for count in 0..=len {
            lanes.first_lanes_or(count, lanes.splat(E::HALF)).store(&mut swapped);
            for i in 0..len {
                assert_eq!(swapped[i], if i < count { source[i] } else { E::HALF });
            }
        }
    }
}

#[test]
fn lanes_trade_places() {
    for isa in Isa::available() {
        isa.run(Places::<f32>(core::marker::PhantomData));
        isa.run(Places::<f64>(core::marker::PhantomData));
    }
}

#[test]
fn every_method_agrees_with_scalars() {
    for isa in Isa::available() {
        isa.run(Methods::<f32>(core::marker::PhantomData));
        isa.run(Methods::<f64>(core::marker::PhantomData));
    }
}

#[test]
fn powers_of_two_and_scaling_are_exact_to_one_rounding() {
    for isa in Isa::available() {
        isa.run(Scaling::<f32>(core::marker::PhantomData));
        isa.run(Named::<f32>(core::marker::PhantomData));
        isa.run(Scaling::<f64>(core::marker::PhantomData));
        isa.run(Named::<f64>(core::marker::PhantomData));
    }
}

#[test]
fn partial_loads_and_stores_touch_only_their_count() {
    for isa in Isa::available() {
        isa.run(Partial::<f32>(core::marker::PhantomData));
        isa.run(Partial::<f64>(core::marker::PhantomData));
    }
}
