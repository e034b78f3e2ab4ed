//! The memory that values take. It is a program of its own, because tests that run beside it use memory, too.

use pyyaml::Value;

/// The bytes of memory that this process uses.
fn used_memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("the memory of this process");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[test]
fn the_memory_of_a_value_is_known_to_a_factor_of_two() {
    // Kept, since memory that is freed would be used again.
    let mut values = Vec::new();
    for (text, count) in [
        ("{n: 12, s: ab}", 50_000),
        ("[1, 2, 3]", 100_000),
        ("a text of thirty characters...", 200_000),
        ("{a: {b: [c, d], e: 1.5}}", 20_000),
    ] {
        let before = used_memory();
        let value = Value::from((0..count).map(|_| pyyaml::read(text).expect("YAML")).collect::<Vec<_>>());
        let used = used_memory() - before;
        let size = value.memory_size();
        assert!(size < 2 * used && used < 2 * size, "{text}: {size} for {used} bytes");
        values.push(value);
    }
}
