#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nowcast_fuzz::control::check(data));
