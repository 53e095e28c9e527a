//! Which CPU is this? The only place that asks.

use crate::lanes::{Simd, portable::Portable};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};
use core::fmt;
use std::sync::OnceLock;

/// An instruction set that this CPU has been found to have; every kernel takes one.
///
/// Make one with [`Isa::active`] (what a program wants: the environment's choice or the best),
/// [`Isa::detect`] (the best) or [`Isa::named`] (a certain one, for tests and for incidents).
///
/// ```
/// use deltarule_kernels::Isa;
/// let isa = Isa::named("portable")?;
/// assert_eq!(isa.name(), "portable");
/// assert!(Isa::named("mmx").is_err());
/// # Ok::<(), deltarule_kernels::IsaError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(Level);

/// The private variants are the proof: only this module makes them, after detection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// The environment variable that forces an ISA: `avx512`, `avx2` or `portable`.
///
/// ```
/// use deltarule_kernels::ISA_VARIABLE;
/// // The same program on another instruction set, to compare.
/// let mut command = std::process::Command::new("my-service");
/// command.env(ISA_VARIABLE, "portable");
/// assert!(command.get_envs().any(|(name, _)| name == "DELTARULE_ISA"));
/// ```
pub const ISA_VARIABLE: &str = "DELTARULE_ISA";

/// Why an ISA can't be had.
///
/// ```
/// use deltarule_kernels::{Isa, IsaError};
/// match Isa::named("avx512") {
///     Ok(isa) => assert_eq!(isa.name(), "avx512"),
///     Err(IsaError::Unsupported { best, .. }) => assert_eq!(best, Isa::detect().name()),
///     Err(other) => unreachable!("{other}: the name is known"),
/// }
/// assert_eq!(Isa::named("mmx"), Err(IsaError::Unknown { name: "mmx".to_owned() }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsaError {
    /// The name is none of those in [`Isa::NAMES`].
    #[error("unknown ISA `{name}`: expected avx512, avx2 or portable")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The name is known, but this CPU does not have the ISA.
    #[error("this CPU does not have the ISA `{name}`; the best it has is `{best}`")]
    Unsupported {
        /// The name that was asked for.
        name: String,
        /// The best that this CPU has.
        best: &'static str,
    },
}

impl Isa {
    /// Every name that [`Isa::named`] knows, best first.
    pub const NAMES: [&'static str; 3] = ["avx512", "avx2", "portable"];

    /// The best ISA of this CPU.
    ///
    /// ```
    /// use deltarule_kernels::Isa;
    /// assert_eq!(Isa::available().next(), Some(Isa::detect()));
    /// ```
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            if avx2 && avx512 {
                return Self(Level::Avx512);
            }
            if avx2 {
                return Self(Level::Avx2);
            }
        }
        Self(Level::Portable)
    }

    /// The ISA of this name.
    ///
    /// # Errors
    /// [`IsaError::Unknown`] for a name that is not in [`Isa::NAMES`],
    /// [`IsaError::Unsupported`] for an ISA that this CPU does not have.
    pub fn named(name: &str) -> Result<Self, IsaError> {
        if let Some(isa) = Self::available().find(|isa| isa.name() == name) {
            return Ok(isa);
        }
        let name = name.to_owned();
        if Self::NAMES.contains(&name.as_str()) {
            Err(IsaError::Unsupported { name, best: Self::detect().name() })
        } else {
            Err(IsaError::Unknown { name })
        }
    }

    /// What the environment variable `DELTARULE_ISA` forces, or else the best. The variable is
    /// read once per process.
    ///
    /// ```
    /// use deltarule_kernels::Isa;
    /// let isa = Isa::active()?;
    /// assert!(Isa::available().any(|one| one == isa));
    /// println!("computing with {isa}");
    /// # Ok::<(), deltarule_kernels::IsaError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Isa::named`], for the variable's value.
    pub fn active() -> Result<Self, IsaError> {
        static ACTIVE: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
        let active = ACTIVE.get_or_init(|| match std::env::var_os(ISA_VARIABLE) {
            Some(name) => Self::named(&name.to_string_lossy()),
            None => Ok(Self::detect()),
        });
        active.clone()
    }

    /// Every ISA that this CPU has, best first; `portable` is always among them.
    ///
    /// ```
    /// use deltarule_kernels::Isa;
    /// let names: Vec<&str> = Isa::available().map(Isa::name).collect();
    /// assert_eq!(names.last(), Some(&"portable"));
    /// assert!(Isa::NAMES.ends_with(&names));
    /// ```
    pub fn available() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        let levels = [
            #[cfg(target_arch = "x86_64")]
            Level::Avx512,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2,
            Level::Portable,
        ];
        levels.into_iter().map(Self).skip_while(move |&isa| isa != best)
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            Level::Portable => "portable",
        }
    }

    /// Whether multiply-adds are fused. All ISAs for which this is so give the same bits.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, reduce};
    /// let x: Vec<f32> = (1..1000).map(|i| 1.0 / i as f32).collect();
    /// let fused = Isa::available().filter(|isa| isa.has_fma());
    /// let norms: Vec<f64> = fused.map(|isa| reduce::sum_of_squares(isa, &x)).collect();
    /// assert!(norms.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()));
    /// ```
    pub fn has_fma(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::HAS_FMA,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::HAS_FMA,
            Level::Portable => Portable::HAS_FMA,
        }
    }

    /// Runs a kernel, compiled for this ISA.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.run_x86(kernel) {
            Ok(output) => output,
            Err(kernel) => kernel.run_portable(),
        }
    }

    /// Runs a kernel if this ISA has fused multiply-adds; without them it is not even compiled.
    #[inline]
    pub(crate) fn run_fused<K: Kernel>(self, kernel: K) -> Option<K::Output> {
        match self.run_x86(kernel) {
            Ok(output) => Some(output),
            Err(kernel) if Portable::HAS_FMA => Some(kernel.run_portable()),
            Err(_) => None,
        }
    }

    /// Gives the kernel back if this is the portable ISA.
    #[inline]
    fn run_x86<K: Kernel>(self, kernel: K) -> Result<K::Output, K> {
        match self.0 {
            // SAFETY: this level is made only after the CPU was found to have these features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Ok(unsafe { kernel.run_avx512() }),
            // SAFETY: this level is made only after the CPU was found to have these features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Ok(unsafe { kernel.run_avx2() }),
            Level::Portable => Err(kernel),
        }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isa({})", self.name())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes of a core's L2 cache, or 512 KiB where the CPU does not say.
pub(crate) fn l2_cache_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| reported_cache_bytes(2).unwrap_or(512 << 10))
}

/// Bytes of the L3 cache that a core can use, or 8 MiB where the CPU does not say.
pub(crate) fn l3_cache_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| reported_cache_bytes(3).unwrap_or(8 << 20))
}

/// The size in the CPU's table of its caches, which has one line a cache: Intel's leaf, or AMD's.
#[cfg(target_arch = "x86_64")]
fn reported_cache_bytes(level: u32) -> Option<usize> {
    const INTEL: u32 = 4;
    const AMD: u32 = 0x8000_001d;
    [INTEL, AMD].into_iter().find_map(|leaf| {
        let last_of_kind = cpuid(leaf & 0x8000_0000, 0).eax;
        let caches = (0..8).map(|index| cpuid(leaf, index)).take_while(|cache| cache.eax & 31 != 0);
        let mut of_level = caches.filter(|cache| (cache.eax >> 5) & 7 == level);
        let cache = of_level.next().filter(|_| leaf <= last_of_kind)?;
        let ways = (cache.ebx >> 22) as usize + 1;
        let partitions = (cache.ebx >> 12) as usize % 1024 + 1;
        let line = cache.ebx as usize % 4096 + 1;
        Some(ways * partitions * line * (cache.ecx as usize + 1))
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn reported_cache_bytes(_level: u32) -> Option<usize> {
    None
}

#[cfg(target_arch = "x86_64")]
fn cpuid(leaf: u32, index: u32) -> core::arch::x86_64::CpuidResult {
    // Newer compilers know that the instruction is safe on every x86-64.
    #[allow(unused_unsafe)]
    // SAFETY: every x86-64 CPU has the instruction; a leaf that it does not know is not an error.
    unsafe {
        core::arch::x86_64::__cpuid_count(leaf, index)
    }
}

/// A kernel: its arguments in a struct, and one body for every ISA.
///
/// `run` and all it calls are `#[inline(always)]`, so that they are compiled inside the function
/// that has the ISA's target features. Those functions are methods, because a compiler keeps a
/// method of a trait with the type that has it: so each module's kernels are compiled beside those
/// of others, and not all of them one after the other as this module's.
pub trait Kernel: Sized {
    /// What the kernel returns.
    type Output;

    /// The body.
    fn run<S: Simd>(self, simd: S) -> Self::Output;

    /// The body for any CPU.
    #[inline(never)]
    fn run_portable(self) -> Self::Output {
        self.run(Portable)
    }

    /// The body for a CPU with AVX2 and FMA.
    ///
    /// # Safety
    /// The CPU has them.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    #[inline(never)]
    unsafe fn run_avx2(self) -> Self::Output {
        // SAFETY: the caller promises that the CPU has this function's target features.
        self.run(unsafe { Avx2::assume_supported() })
    }

    /// The body for a CPU with AVX-512.
    ///
    /// # Safety
    /// The CPU has what is enabled here.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
    #[inline(never)]
    unsafe fn run_avx512(self) -> Self::Output {
        // SAFETY: the caller promises that the CPU has this function's target features.
        self.run(unsafe { Avx512::assume_supported() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_comes_first_and_portable_last() {
        let all: Vec<_> = Isa::available().collect();
        assert_eq!(all[0], Isa::detect());
        assert_eq!(all.last().unwrap().name(), "portable");
        for isa in &all {
            assert_eq!(Isa::named(isa.name()), Ok(*isa));
        }
    }

    #[test]
    fn the_caches_have_sizes_that_caches_have() {
        for (bytes, largest) in [(l2_cache_bytes(), 64 << 20), (l3_cache_bytes(), 4 << 30)] {
            assert!((64 << 10..=largest).contains(&bytes), "{bytes}");
            assert!(bytes.is_multiple_of(64 << 10), "{bytes}");
        }
    }

    #[test]
    fn a_missing_isa_is_an_error_that_names_it() {
        assert_eq!(
            Isa::named("sse9").unwrap_err().to_string(),
            "unknown ISA `sse9`: expected avx512, avx2 or portable"
        );
        for name in Isa::NAMES {
            if !Isa::available().any(|isa| isa.name() == name) {
                assert!(matches!(Isa::named(name), Err(IsaError::Unsupported { .. })));
            }
        }
    }
}
