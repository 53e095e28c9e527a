//! IDX files, plain and compressed.

use deltarule::data::{ReadError, idx};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn idx_file(element: u8, extents: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, element, extents.len() as u8];
    bytes.extend(extents.iter().flat_map(|extent| extent.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn error(bytes: &[u8]) -> ReadError {
    idx::read::<f32>(bytes, 1000).unwrap_err()
}

#[test]
fn every_type_of_elements() {
    let bytes = |numbers: &[&[u8]]| numbers.concat();
    for (element, elements) in [
        (0x08, vec![1, 200]),
        (0x09, bytes(&[&1i8.to_be_bytes(), &(-56i8).to_be_bytes()])),
        (0x0b, bytes(&[&1i16.to_be_bytes(), &(-300i16).to_be_bytes()])),
        (0x0c, bytes(&[&1i32.to_be_bytes(), &(-70_000i32).to_be_bytes()])),
        (0x0d, bytes(&[&1f32.to_be_bytes(), &(-0.5f32).to_be_bytes()])),
        (0x0e, bytes(&[&1f64.to_be_bytes(), &(-0.25f64).to_be_bytes()])),
    ] {
        let second = match element {
            0x08 => 200.0,
            0x09 => -56.0,
            0x0b => -300.0,
            0x0c => -70_000.0,
            0x0d => -0.5,
            _ => -0.25,
        };
        let file = idx_file(element, &[2], &elements);
        for file in [compressed(&file), file] {
            let array = idx::read::<f64>(file.as_slice(), 2).unwrap();
            assert_eq!((array.shape(), array.values()), ([2].as_slice(), [1.0, second].as_slice()));
        }
    }
}

#[test]
fn images_with_labels() {
    let folder = std::env::temp_dir().join(format!("deltarule-idx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (images, labels) = (folder.join("images.gz"), folder.join("labels"));
    let pixels = [0, 51, 102, 153, 204, 255, 0, 255];
    std::fs::write(&images, compressed(&idx_file(8, &[2, 2, 2], &pixels))).unwrap();
    std::fs::write(&labels, idx_file(8, &[2], &[3, 1])).unwrap();
    let data = idx::open_images::<f32>(&images, &labels).unwrap();
    assert_eq!((data.rows(), data.columns(), data.outputs()), (2, 4, 4));
    assert_eq!(data.features(), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.0, 1.0]);
    assert_eq!(data.labels(), [3, 1]);
    std::fs::write(&labels, idx_file(8, &[1], &[3])).unwrap();
    let error = idx::open_images::<f32>(&images, &labels).unwrap_err();
    assert_eq!(error.to_string(), "`targets` has 1 elements, but 2 are needed");
    std::fs::write(&labels, idx_file(0x0d, &[2], &[0; 4].repeat(2))).unwrap();
    assert!(idx::open_images::<f32>(&images, &labels).is_ok());
    std::fs::write(&labels, idx_file(0x09, &[2], &[0xff, 0])).unwrap();
    let error = idx::open_images::<f32>(&images, &labels).unwrap_err();
    assert!(error.to_string().starts_with("`labels` is -1, but it must be a class"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn files_that_are_damaged() {
    let whole = idx_file(8, &[3, 2], &[1, 2, 3, 4, 5, 6]);
    for length in 0..whole.len() {
        match error(&whole[..length]) {
            ReadError::Format { .. } if length < 12 => {}
            ReadError::Truncated { expected: 6, actual, .. } => assert_eq!(actual, length - 12),
            other => panic!("{length} bytes: {other}"),
        }
    }
    let gz = compressed(&whole);
    for length in 3..gz.len() {
        assert!(idx::read::<f32>(&gz[..length], 1000).is_err(), "{length} bytes");
    }
    // No byte that is changed may lead to a panic.
    for place in 0..gz.len() {
        for bit in 0..8 {
            let mut changed = gz.clone();
            changed[place] ^= 1 << bit;
            let _ = idx::read::<f32>(changed.as_slice(), 1000);
        }
    }
    let message = |bytes: &[u8]| error(bytes).to_string();
    for start in [[1, 0, 8, 0, 0], [0, 1, 8, 0, 0]] {
        assert_eq!(message(&start), "no valid IDX file: its first two bytes are not 0");
    }
    assert_eq!(message(&[0, 0, 7, 0, 0]), "no valid IDX file: 0x07 is no type of elements");
    assert_eq!(
        message(&idx_file(8, &[2], &[1, 2, 3])),
        "no valid IDX file: something follows the 2 elements that it promises"
    );
}

#[test]
fn promises_that_are_too_large() {
    let huge = idx_file(8, &[u32::MAX; 255], &[]);
    assert!(matches!(error(&huge), ReadError::TooLarge { limit: 1000, .. }));
    // 0 elements, but extents that no usize product holds.
    let flat = idx_file(8, &[0, u32::MAX, u32::MAX, u32::MAX], &[]);
    let array = idx::read::<f32>(flat.as_slice(), 1000);
    assert!(array.is_ok_and(|array| array.values().is_empty() && array.columns() == usize::MAX));
    // Much that compresses to little: it is read no further than the header promises.
    let bomb = compressed(&idx_file(8, &[10], &vec![0; 1 << 24]));
    assert!(bomb.len() < 100_000);
    assert!(matches!(error(&bomb), ReadError::Format { .. }));
}
