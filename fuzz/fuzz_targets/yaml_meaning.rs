#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nowcast_fuzz::yaml_meaning::check(data));
