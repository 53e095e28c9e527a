//! Work over rayon's current pool, within a cap, and scratch space for those who do it.

use deltarule_kernels::{Aligned, Element};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Result, try_aligned};

/// Multiply-adds of a forward pass below which a step stays on the calling thread: a pool takes ten
/// microseconds and more to wake, in which one core makes such a step.
pub(crate) const PARALLEL_WORK: usize = 1 << 18;

/// How many threads may work at once, and on how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads {
    /// 1 never touches rayon.
    pub(crate) most: usize,
    /// The least multiply-adds of a forward pass that more than one work on.
    pub(crate) threshold: usize,
}

impl Threads {
    /// Into how many parts at most to divide work of so many multiply-adds: 1 is to stay on this
    /// thread.
    pub(crate) fn parts(self, work: usize) -> usize {
        if self.most == 1 || work < self.threshold {
            return 1;
        }
        match rayon::current_num_threads() {
            1 => 1,
            // Nothing to hold back: the finer the parts, the better they balance.
            pool if self.most >= pool => usize::MAX,
            _ => self.most,
        }
    }

    /// How many of the current pool's threads can work at once.
    pub(crate) fn at_once(self) -> usize {
        if self.most == 1 { 1 } else { self.most.min(rayon::current_num_threads()) }
    }
}

/// Runs `body` in the current pool, so that what it forks does not each have to enter there.
pub(crate) fn enter<R: Send>(parts: usize, body: impl FnOnce() -> R + Send) -> R {
    if parts == 1 { body() } else { rayon::scope(|_| body()) }
}

/// Items in a row that can be worked on in any order.
pub(crate) trait Divide: Sized + Send {
    /// The number of items.
    fn len(&self) -> usize;
    /// The first `at` items, and the others.
    fn split_at(self, at: usize) -> (Self, Self);
}

/// Divides the work into at most `parts` and gives each to `run`, in parallel. The error of the
/// earliest part that failed is returned, but all parts are run.
pub(crate) fn divide<W: Divide>(
    work: W,
    parts: usize,
    run: &(impl Fn(W) -> Result<()> + Sync),
) -> Result<()> {
    if parts <= 1 || work.len() <= 1 {
        return run(work);
    }
    let parts = parts.min(work.len());
    let parts_before = parts / 2;
    // The product is at most len · parts, and both count things that lie in memory.
    let at = (work.len() as u128 * parts_before as u128 / parts as u128) as usize;
    let (before, after) = work.split_at(at);
    let (first, second) = rayon::join(
        || divide(before, parts_before, run),
        || divide(after, parts - parts_before, run),
    );
    first.and(second)
}

/// Scratch space for each thread that works at the same time.
#[derive(Debug)]
pub(crate) struct Scratch<E> {
    spaces: Vec<Mutex<Aligned<E>>>,
}

impl<E: Element> Scratch<E> {
    pub(crate) fn new(threads: Threads, elements: usize) -> Result<Self> {
        let spaces = (0..threads.at_once())
            .map(|_| try_aligned("scratch", elements).map(Mutex::new))
            .collect::<Result<_>>()?;
        Ok(Self { spaces })
    }

    /// [`divide`], with a space for each part.
    pub(crate) fn divide<W: Divide>(
        &mut self,
        work: W,
        parts: usize,
        run: &(impl Fn(W, &mut [E]) -> Result<()> + Sync),
    ) -> Result<()> {
        if parts <= 1 {
            // Nobody else is at work: a lock would take longer than some layers.
            let space = self.spaces[0].get_mut();
            return run(work, space.unwrap_or_else(PoisonError::into_inner));
        }
        divide(work, parts, &|work| run(work, &mut self.lock()))
    }

    /// A space that no other thread has, by preference the one that this thread had before. Its
    /// holder never waits for other work, so nobody waits for long where threads outnumber spaces.
    fn lock(&self) -> MutexGuard<'_, Aligned<E>> {
        let count = self.spaces.len();
        let own = match count {
            1 => 0,
            _ => rayon::current_thread_index().unwrap_or(0) % count,
        };
        let free = (own..count).chain(0..own).find_map(|index| self.spaces[index].try_lock().ok());
        // A panic can't leave anything half done in scratch space.
        free.unwrap_or_else(|| self.spaces[own].lock().unwrap_or_else(PoisonError::into_inner))
    }
}
