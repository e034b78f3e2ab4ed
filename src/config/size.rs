//! Parses amounts of memory as people write them, `4 GB` or `512 MB`, and writes them so. 1 MB is 1024 kB, as to Slurm and systemd.

/// The units, from the largest to the smallest.
const UNITS: [(&str, u64); 4] = [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];

/// Parse an amount of memory; return bytes.
///
/// # Errors
/// When the text is not a number with a unit, or is too large.
pub fn parse(text: &str) -> Result<u64, String> {
    let refuse = || format!("{text:?} is not an amount of memory; write it as 512 MB or 4 GB");
    let trimmed = text.trim();
    let end = trimmed.find(|sign: char| !sign.is_ascii_digit() && sign != '.').ok_or_else(refuse)?;
    let (number, unit) = trimmed.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let is_it = |name: &str| {
        let name = name.to_ascii_lowercase();
        // GB, GiB or G.
        unit == name || unit == name.replace('b', "ib") || unit == name.replace('b', "")
    };
    let (_, factor) = UNITS.into_iter().find(|(name, _)| is_it(name)).ok_or_else(refuse)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let (whole, tenths): (u64, u64) =
        whole.parse().ok().zip(fraction.parse().ok().filter(|_| fraction.len() == 1)).ok_or_else(refuse)?;
    let bytes = whole.checked_mul(factor).and_then(|bytes| bytes.checked_add(factor * tenths / 10));
    bytes.ok_or_else(refuse)
}

/// Return an amount of memory for people: `4 GB`, `1.5 GB`.
#[must_use]
pub fn text(bytes: u64) -> String {
    let (name, factor) = UNITS.into_iter().find(|(_, factor)| bytes >= *factor).unwrap_or(("bytes", 1));
    let (whole, tenths) = (bytes / factor, bytes % factor * 10 / factor);
    if tenths == 0 || whole >= 100 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_as_people_write_them() {
        for (read, bytes, written) in [
            ("4 GB", 4 << 30, "4 GB"),
            ("512MB", 512 << 20, "512 MB"),
            ("1.5 gb", 3 << 29, "1.5 GB"),
            ("2G", 2 << 30, "2 GB"),
            (" 100 MiB ", 100 << 20, "100 MB"),
            ("900 kB", 900 << 10, "900 kB"),
            ("1 TB", 1 << 40, "1 TB"),
        ] {
            assert_eq!(parse(read), Ok(bytes), "{read}");
            assert_eq!(text(bytes), written, "{read}");
        }
        assert_eq!(text(999), "999 bytes");
    }

    #[test]
    fn an_amount_without_a_unit_or_beyond_64_bits_is_refused_with_an_example() {
        for text in ["", "4", "GB", "4 XB", "-4 GB", "4 GB x", "1.25 GB", ".5 GB", "99999999999 TB"] {
            assert!(parse(text).unwrap_err().ends_with("write it as 512 MB or 4 GB"), "{text}");
        }
    }
}
