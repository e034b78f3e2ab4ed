//! Random values, with a liking for those that look like something else.

use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use pyyaml::{Date, DateTime, Map, Set, Value};

/// Strings that YAML 1.1 could take for something else, or that are hard to write.
pub const TRICKY: &[&str] = &[
    "",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "0123",
    "0o17",
    "0b101",
    "0x1F",
    "1_000",
    "12:30",
    "1:30.5",
    "1e3",
    "1.0e+3",
    "1.5",
    ".5",
    "5.",
    "+1",
    "-1",
    ".inf",
    "-.INF",
    ".nan",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "n",
    "true",
    "null",
    "Null",
    "~",
    "=",
    "<<",
    "2026-03-14",
    "2026-3-4",
    "2026-03-14 05:15:00",
    "2026-03-14T05:15:00Z",
    "2001-12-14t21:59:43.10-05:00",
    "- a",
    "-",
    "--",
    "---",
    "...",
    "--- a",
    "... b",
    "?",
    "? a",
    ":",
    ": a",
    "a: b",
    "a:",
    "a :b",
    "#",
    "a #b",
    "a# b",
    "#a",
    "[a]",
    "{a: b}",
    "a, b",
    "&a",
    "*a",
    "!a",
    "!!int 1",
    "| a",
    "> a",
    "'",
    "\"",
    "'a'",
    "\"a\"",
    "it's",
    "%a",
    "@a",
    "`a",
    "a\\b",
    "\\",
    "\\n",
    " a",
    "a ",
    "a\n",
    "\na",
    "a\n\nb",
    "a\n b",
    "a \nb",
    "a\n\n",
    "\n a",
    "a\tb",
    "\ta",
    "a\t",
    "a\r\nb",
    "a\rb",
    "a\u{85}b",
    "a\u{2028}b",
    "\u{2029}",
    "\u{FEFF}",
    "\u{FEFF}a",
    "a\u{FEFF}",
    "é",
    "日本語",
    "😀",
    "\u{7F}",
    "\u{80}",
    "\u{9F}",
    "\u{A0}",
    "\u{FFFE}",
    "\u{FFFF}",
    "\0",
    "\x07",
    "\x1B[0m",
    "\u{10FFFF}",
    "\u{E000}",
    "\u{D7FF}",
    "00",
    "08",
    "0_",
    "1__0",
    "0b_",
    "0x_",
    "+.inf",
    "1.e+1",
    "190:20:30",
    "190:20:30.15",
    "1:60",
    "0:0",
    "99999999999999999999",
    "-0",
    "-0.0",
    "1e",
    "e1",
    "0.1e1",
    "a: b: c",
    "key: [1, 2",
    "key with spaces",
];

/// Text: tricky strings, words long enough to be folded, any characters at all.
pub fn text() -> BoxedStrategy<String> {
    let tricky = select(TRICKY).prop_map(str::to_owned);
    let word = prop_oneof![
        8 => "[a-zA-Z0-9_./'\"\\\\:,#?-]{1,12}",
        1 => select(TRICKY).prop_map(str::to_owned),
        1 => "\\PC{1,6}",
    ];
    let separator = select(vec![" ", " ", " ", " ", "  ", "\n", "\n\n", " \n", "\n ", ", ", ": ", "\t"]);
    let sentence = vec((word, separator), 0..40).prop_map(|words| {
        words.into_iter().flat_map(|(word, separator)| [word, separator.to_owned()]).collect::<String>()
    });
    let odd = vec(
        prop_oneof![any::<char>(), select(vec!['\u{85}', '\u{2028}', '\u{FEFF}', '\n', ' ', '\'', '"'])],
        0..30,
    )
    .prop_map(|characters| characters.into_iter().collect::<String>());
    let numeric = "[-+0-9_.:eExXobTZ ]{1,24}";
    let dateish = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,7})? ?(Z|[-+][0-9]{1,2}(:[0-9]{2})?)?)?";
    prop_oneof![4 => tricky, 3 => sentence, 1 => odd, 1 => numeric, 1 => dateish, 3 => "[a-z ]{1,12}", 1 => "[a-z]{100,140}"].boxed()
}

fn date() -> impl Strategy<Value = Date> {
    (1_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| jiff::civil::date(year, month, day))
}

fn date_time() -> impl Strategy<Value = DateTime> {
    let micros = prop_oneof![Just(0), 0..1_000_000_i32];
    let offset =
        prop_oneof![Just(None), Just(Some(0)), (-1439..=1439_i32).prop_map(|minutes| Some(minutes * 60))];
    (date(), 0_i8..24, 0_i8..60, 0_i8..60, micros, offset).prop_map(
        |(date, hour, minute, second, micros, offset)| DateTime {
            civil: date.at(hour, minute, second, micros * 1000),
            offset,
        },
    )
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        select(vec![
            0.0,
            -0.0,
            1.0,
            1e15,
            1e16,
            1e17,
            123_456_789_012_345_680.0,
            1e-4,
            1e-5,
            0.1,
            5e-324,
            2.225e-308,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ]),
        any::<f64>(),
        // Halfway between two shortest texts.
        ((1_u32 << 18)..(1 << 21), any::<u32>(), select(vec![4.0, 8.0])).prop_map(|(high, low, divisor)| {
            (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / divisor
        }),
        // Around the places where an exponent begins.
        (1.0..10.0_f64, select(vec![1e-6, 1e-5, 1e-4, 1e15, 1e16]))
            .prop_map(|(digits, scale)| digits * scale),
        -1000.0..1000.0_f64,
    ]
}

fn big() -> impl Strategy<Value = Value> {
    (any::<bool>(), vec(any::<u8>(), 1..20))
        .prop_map(|(sign, bytes)| {
            BigInt::from_bytes_be(if sign { num_bigint::Sign::Minus } else { num_bigint::Sign::Plus }, &bytes)
        })
        .prop_map(Value::from)
}

/// A scalar of any type.
pub fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        8 => text().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => (-100..100_i64).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => big(),
        2 => float().prop_map(Value::from),
        1 => date().prop_map(Value::Date),
        1 => date_time().prop_map(Value::DateTime),
        1 => vec(any::<u8>(), 0..130).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
    .boxed()
}

/// Keys of one type for the most part, so that Python can sort them.
fn keys(length: usize) -> BoxedStrategy<Vec<Value>> {
    prop_oneof![
        6 => vec(text().prop_map(Value::from), 0..length),
        2 => vec(prop_oneof![(-3..3_i64).prop_map(Value::from), float().prop_map(Value::from), any::<bool>().prop_map(Value::from), big()], 0..length),
        1 => vec(date().prop_map(Value::Date), 0..length),
        1 => vec(date_time().prop_map(Value::DateTime), 0..length),
        1 => vec(vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into())), 0..length),
        1 => vec(scalar(), 0..length),
    ]
    .boxed()
}

/// A value as Python can hold it: no two keys that Python takes for equal, no NaN among keys.
pub fn value() -> BoxedStrategy<Value> {
    scalar()
        .prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                3 => vec(inner.clone(), 0..6).prop_map(Value::from),
                5 => (keys(6), vec(inner, 6)).prop_map(|(keys, values)| {
                    Value::from(distinct(keys).into_iter().zip(values).collect::<Map>())
                }),
                1 => keys(6).prop_map(|keys| Value::from(distinct(keys).into_iter().collect::<Set>())),
            ]
        })
        .boxed()
}

fn distinct(keys: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for key in keys {
        let is_nan = matches!(key, Value::Float(number) if number.is_nan());
        if !is_nan && !kept.iter().any(|other| equal_in_python(other, &key)) {
            kept.push(key);
        }
    }
    kept
}

fn equal_in_python(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        #[allow(clippy::cast_precision_loss)]
        Value::Int(number) => Some(*number as f64),
        Value::BigInt(number) => number.to_string().parse().ok(),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let instant = |value: &Value| match value {
        Value::DateTime(time) => time.offset.map(|offset| {
            let seconds = time.civil.duration_since(jiff::civil::datetime(1970, 1, 1, 0, 0, 0, 0)).as_nanos();
            seconds - i128::from(offset) * 1_000_000_000
        }),
        _ => None,
    };
    match (number(a), number(b), instant(a), instant(b)) {
        // Too coarse for great numbers, which only leaves one out.
        #[allow(clippy::float_cmp)]
        (Some(a), Some(b), _, _) => a == b,
        (_, _, Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
