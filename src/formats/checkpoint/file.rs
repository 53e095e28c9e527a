//! The file of a checkpoint.
//!
//! ```text
//! 8 bytes   the magic number
//! 4         the version of the format
//! 16        the version of this crate that wrote it, ASCII, filled up with zeros
//! 8         the length of the header
//! 8         the length of the numbers
//!           the header: CBOR (RFC 8949)
//!           the numbers: parameters and statistics, the optimizer's states, and the parameters and
//!           statistics of the average and of the best epoch
//! 4         CRC-32 of all that is before it
//! ```
//!
//! All integers and numbers have their lowest byte first. A change of any of this, or of what the
//! header holds, is a new version.

use ciborium::Value;
use core::ops::DerefMut;
use crc32fast::Hasher;
use deltarule_kernels::Element;
use deltarule_kernels::optimizer::MAX_STATES;
use std::io::{self, Write};

use super::{Averaged, Checkpoint, Stand, Weights};
use crate::error::{Error, Result, try_aligned, try_vec};
use crate::fit::{Plan, Position};
use crate::formats::numbers;
use crate::layers::Layer;
use crate::network::{Network, NetworkBuilder};
use crate::trainer::Settings;

const FORMAT: &str = "checkpoint";
const MAGIC: [u8; 8] = *b"\x89DELTA\r\n";
const VERSION: u32 = 3;
/// The bytes before the header.
const PREFIX: usize = 44;
/// Those of the checksum.
const CHECKSUM: usize = 4;
/// How deep the header's arrays and maps may lie in each other.
const DEPTH: usize = 96;

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    element: String,
    inputs: usize,
    layers: Vec<Layer>,
    settings: Settings,
    steps: u64,
    states: usize,
    /// Those of the average, if the settings name one.
    #[serde(default)]
    average_updates: u64,
    fit: Option<(Plan, Position)>,
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::Format { format: FORMAT, problem: problem.into() }
}

/// Passes on what is written, and computes its checksum.
struct Checked<W> {
    to: W,
    hasher: Hasher,
}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a checkpoint.
pub(super) fn write<E: Element>(checkpoint: &Checkpoint<E>, to: impl Write) -> io::Result<()> {
    let Checkpoint { network, settings, steps, states, average, fit } = checkpoint;
    let best = fit.as_ref().and_then(|fit| fit.best.as_ref());
    let header = Header {
        element: numbers::name::<E>().to_owned(),
        inputs: network.inputs(),
        layers: network.specification().to_vec(),
        settings: settings.clone(),
        steps: *steps,
        states: states.len(),
        average_updates: average.as_ref().map_or(0, |average| average.updates),
        fit: fit.as_ref().map(|fit| (fit.plan.clone(), fit.position.clone())),
    };
    let mut header_bytes = Vec::new();
    ciborium::into_writer(&header, &mut header_bytes).map_err(io::Error::other)?;
    let mut body = vec![network.parameters(), network.statistics()];
    body.extend(states.iter().map(Vec::as_slice));
    let others = average.iter().map(|average| &average.weights).chain(best);
    body.extend(others.flat_map(|weights| [&weights.parameters[..], &weights.statistics[..]]));
    let body_len: u64 = body.iter().map(|numbers| size_of_val(*numbers) as u64).sum();

    let mut to = Checked { to, hasher: Hasher::new() };
    let mut written_by = [0; 16];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let count = version.len().min(written_by.len());
    written_by[..count].copy_from_slice(&version[..count]);
    to.write_all(&MAGIC)?;
    to.write_all(&VERSION.to_le_bytes())?;
    to.write_all(&written_by)?;
    to.write_all(&(header_bytes.len() as u64).to_le_bytes())?;
    to.write_all(&body_len.to_le_bytes())?;
    to.write_all(&header_bytes)?;
    for numbers in body {
        numbers::write(numbers, &mut to)?;
    }
    let checksum = to.hasher.clone().finalize();
    to.write_all(&checksum.to_le_bytes())
}

/// The parts of a file, lengths and checksum of which are right.
struct Parts<'a> {
    written_by: String,
    header: &'a [u8],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self> {
        let cut_off = || invalid(format!("it ends after {} bytes, before its end", bytes.len()));
        let (prefix, rest) = bytes.split_at_checked(PREFIX).ok_or_else(|| {
            if bytes.starts_with(&MAGIC) { cut_off() } else { invalid("it does not begin as one") }
        })?;
        if !prefix.starts_with(&MAGIC) {
            return Err(invalid("it does not begin as one"));
        }
        let number = |at: usize| {
            let bytes = prefix[at..at + 8].try_into().expect("a slice of 8 bytes");
            u64::from_le_bytes(bytes)
        };
        // The version has half of a number's bytes.
        let version = number(8) as u32;
        let written_by: String = prefix[12..28]
            .iter()
            .take_while(|&&byte| byte != 0)
            .map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '?' })
            .collect();
        if version == 0 || version > VERSION {
            return Err(Error::Version { format: FORMAT, version, written_by, newest: VERSION });
        }
        let (header_len, body_len) = (number(28), number(36));
        let promised = header_len.checked_add(body_len).and_then(|len| len.checked_add(4));
        let there = rest.len() as u64;
        match promised {
            Some(promised) if promised == there => {}
            Some(promised) if promised < there => {
                return Err(invalid(format!("{} bytes follow its end", there - promised)));
            }
            _ => return Err(cut_off()),
        }
        let (checked, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if crc32fast::hash(checked).to_le_bytes() != checksum {
            return Err(invalid("it is damaged: its checksum is wrong"));
        }
        let (header, body) = checked[PREFIX..].split_at(header_len as usize);
        Ok(Self { written_by, header, body })
    }
}

/// Reads a checkpoint.
pub(super) fn read<E: Element>(bytes: &[u8]) -> Result<Checkpoint<E>> {
    let Parts { written_by, header, body } = Parts::new(bytes)?;
    let unknown = |error: &dyn core::fmt::Display| {
        invalid(format!("its header, written by deltarule {written_by}, is not known: {error}"))
    };
    // A value takes no more memory than is there, whatever lengths are promised.
    let mut rest = header;
    let value: Value = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH)
        .map_err(|error| unknown(&error))?;
    if !rest.is_empty() {
        return Err(invalid("something follows its header"));
    }
    let header: Header = value.deserialized().map_err(|error| unknown(&error))?;
    let Header { element, inputs, layers, settings, steps, states, average_updates, fit } = header;
    if element != numbers::name::<E>() {
        let wanted = numbers::name::<E>();
        return Err(invalid(format!("its numbers are {element}, not {wanted}")));
    }
    if let Some((plan, position)) = &fit {
        position.check(plan).map_err(invalid)?;
    }
    let mut body = Body { rest: body };
    // An embedding keeps a list of its inputs, which need not have weights of their own.
    if inputs > bytes.len() && matches!(layers.first(), Some(Layer::Embedding { .. })) {
        return Err(invalid(format!("its embedding has {inputs} inputs")));
    }
    let builder = layers.into_iter().fold(NetworkBuilder::new(inputs), NetworkBuilder::layer);
    let network = builder.assemble(|parameters, statistics| {
        Ok((body.take(parameters, try_aligned)?, body.take(statistics, try_aligned)?))
    })?;
    let count = network.parameters().len();
    if states > MAX_STATES {
        return Err(invalid(format!("no optimizer has {states} states")));
    }
    let states = (0..states).map(|_| body.take(count, try_vec)).collect::<Result<_>>()?;
    let mut average = None;
    if settings.average.is_some() {
        let weights = body.take_weights(&network)?;
        average = Some(Averaged { weights, updates: average_updates });
    }
    let mut stand = None;
    if let Some((plan, position)) = fit {
        let best = position.has_best().then(|| body.take_weights(&network)).transpose()?;
        stand = Some(Stand { plan, position, best });
    }
    if !body.rest.is_empty() {
        return Err(invalid("it has more numbers than its layers"));
    }
    Ok(Checkpoint { network, settings, steps, states, average, fit: stand })
}

/// The numbers that have not been taken.
struct Body<'a> {
    rest: &'a [u8],
}

impl Body<'_> {
    /// As many as those of a network are.
    fn take_weights<E: Element>(&mut self, network: &Network<E>) -> Result<Weights<E>> {
        let parameters = self.take(network.parameters().len(), try_vec)?;
        Ok(Weights { parameters, statistics: self.take(network.statistics().len(), try_vec)? })
    }

    /// So many, in room that is made once they are known to be there.
    fn take<E: Element, R: DerefMut<Target = [E]>>(
        &mut self,
        count: usize,
        room: impl FnOnce(&'static str, usize) -> Result<R>,
    ) -> Result<R> {
        let len = count.checked_mul(size_of::<E>());
        let halves = len.and_then(|len| self.rest.split_at_checked(len));
        let (bytes, rest) =
            halves.ok_or_else(|| invalid(format!("it has fewer than {count} numbers left")))?;
        self.rest = rest;
        let mut numbers = room("numbers", count)?;
        numbers::read_own(bytes, &mut numbers);
        Ok(numbers)
    }
}
