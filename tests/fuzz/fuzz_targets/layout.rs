//! Gives bytes to one property, see `zonewright_tests::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zonewright_tests::fuzz::spec::layout(bytes));
