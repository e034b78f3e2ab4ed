//! Values as JSON with their types; `process.py` says how.

use std::fmt::Write as _;

use num_bigint::BigInt;
use pyyaml::{DateTime, Map, Set, Value};
use serde_json::{Value as Json, json};

pub fn encode(value: &Value) -> Json {
    match value {
        Value::Null => json!(["n"]),
        Value::Bool(flag) => json!(["b", flag]),
        Value::Int(number) => json!(["i", number.to_string()]),
        Value::BigInt(number) => json!(["i", number.to_string()]),
        Value::Float(number) if number.is_nan() => json!(["f", "nan"]),
        Value::Float(number) => json!(["f", format!("{:016x}", number.to_bits())]),
        Value::Str(text) => json!(["s", text.as_ref()]),
        Value::Date(date) => json!(["d", date.to_string()]),
        Value::DateTime(time) => json!(["t", time_text(time), time.offset]),
        Value::Bytes(bytes) => json!(["y", hex(bytes)]),
        Value::List(items) => json!(["l", items.iter().map(encode).collect::<Vec<Json>>()]),
        Value::Map(map) => {
            let pairs: Vec<Json> =
                map.iter().map(|(key, value)| json!([encode(key), encode(value)])).collect();
            json!(["m", pairs])
        }
        Value::Set(set) => json!(["e", set.iter().map(encode).collect::<Vec<Json>>()]),
    }
}

pub fn decode(json: &Json) -> Value {
    let text = || json[1].as_str().expect("the content is text");
    let items = || json[1].as_array().expect("the content is a list").iter();
    match json[0].as_str().expect("the type is text") {
        "n" => Value::Null,
        "b" => Value::Bool(json[1].as_bool().expect("a bool")),
        "i" => Value::from(text().parse::<BigInt>().expect("digits")),
        "f" if text() == "nan" => Value::Float(f64::NAN),
        "f" => Value::Float(f64::from_bits(u64::from_str_radix(text(), 16).expect("bits in hex"))),
        "s" => Value::from(text()),
        "d" => Value::Date(text().parse().expect("a date")),
        "t" => Value::DateTime(DateTime {
            civil: text().parse().expect("a date with a time"),
            offset: json[2].as_i64().map(|offset| i32::try_from(offset).expect("seconds of a day")),
        }),
        "y" => Value::Bytes(bytes(text()).into()),
        "l" => Value::from(items().map(decode).collect::<Vec<Value>>()),
        "m" => Value::from(items().map(|pair| (decode(&pair[0]), decode(&pair[1]))).collect::<Map>()),
        "e" => Value::from(items().map(decode).collect::<Set>()),
        other => panic!("unknown type {other}"),
    }
}

fn time_text(time: &DateTime) -> String {
    let clock = time.civil.time();
    let date = time.civil.date();
    let micros = clock.subsec_nanosecond() / 1000;
    format!("{date} {:02}:{:02}:{:02}.{micros:06}", clock.hour(), clock.minute(), clock.second())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

/// Whether two values are the same, the order of mappings included; sets have none in Python.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a.0, b.0) && same(a.1, b.1))
        }
        _ => a == b,
    }
}
