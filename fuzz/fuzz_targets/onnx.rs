#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (deltarule_fuzz::ONNX.read)(bytes)());
