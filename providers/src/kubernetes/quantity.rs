//! Quantities (`500m`, `1.5Gi`, `1e3`) in the one form that the server stores.
//!
//! A quantity keeps its family: binary suffixes stay binary as long as one fits, decimal ones decimal;
//! within it the largest suffix is taken that leaves a whole number. What is no quantity gives `None`.

const BINARY: [(&str, u32); 6] = [
    ("Ei", 60),
    ("Pi", 50),
    ("Ti", 40),
    ("Gi", 30),
    ("Mi", 20),
    ("Ki", 10),
];

/// Powers of ten, in nano units.
const DECIMAL: [(&str, u32); 10] = [
    ("E", 27),
    ("P", 24),
    ("T", 21),
    ("G", 18),
    ("M", 15),
    ("k", 12),
    ("", 9),
    ("m", 6),
    ("u", 3),
    ("n", 0),
];

/// Beyond this a number is left as it is; keeps all arithmetic within 128 bits.
const MOST_DIGITS: usize = 18;

/// The canonical form.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (digits, decimals) = parse(number)?;
    let form = match BINARY.iter().find(|(s, _)| *s == suffix) {
        Some((_, bits)) => binary(digits, decimals, *bits)?,
        None => decimal(digits, decimals, exponent(suffix)?)?,
    };
    if form.bytes().filter(u8::is_ascii_digit).count() > MOST_DIGITS {
        return None;
    }
    let sign = if negative && form != "0" { "-" } else { "" };
    Some(format!("{sign}{form}"))
}

/// The whole GiB that a quantity of bytes fills.
pub(crate) fn gib(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (digits, decimals) = parse(number)?;
    let (mut times, mut by) = (1_i128, 10_i128.checked_pow(decimals)?.checked_mul(1 << 30)?);
    match BINARY.iter().find(|(s, _)| *s == suffix) {
        Some((_, bits)) => times <<= *bits,
        None => match exponent(suffix)?.checked_sub(9) {
            Some(power) if power >= 0 => times = 10_i128.checked_pow(u32::try_from(power).ok()?)?,
            Some(power) => by = by.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?,
            None => return None,
        },
    }
    let gib = digits.checked_mul(times)?.checked_add(by - 1)? / by;
    u64::try_from(gib).ok()
}

/// All digits as one number, and how many of them follow the point.
fn parse(number: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let count = whole.len() + fraction.len();
    if count == 0 || count > MOST_DIGITS || fraction.contains('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, u32::try_from(fraction.len()).ok()?))
}

/// The power of ten of a decimal suffix, in nano units.
fn exponent(suffix: &str) -> Option<i32> {
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return i32::try_from(*power).ok();
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-9..=15).contains(&power).then_some(power + 9)
}

fn binary(digits: i128, decimals: u32, bits: u32) -> Option<String> {
    let scale = 10_i128.checked_pow(decimals)?;
    let bytes = ceiling(digits.checked_mul(1 << bits)?, scale);
    let fits = BINARY
        .iter()
        .find(|(_, bits)| bytes != 0 && bytes % (1 << bits) == 0);
    match fits {
        Some((suffix, bits)) => Some(format!("{}{suffix}", bytes >> bits)),
        // Written without a suffix it is read back as a decimal one.
        None => decimal(bytes, 0, 9),
    }
}

fn decimal(digits: i128, decimals: u32, power: i32) -> Option<String> {
    let shift = power - i32::try_from(decimals).ok()?;
    let nanos = match u32::try_from(shift) {
        Ok(up) => digits.checked_mul(10_i128.checked_pow(up)?)?,
        Err(_) => ceiling(digits, 10_i128.checked_pow(shift.unsigned_abs())?),
    };
    if nanos == 0 {
        return Some("0".to_owned());
    }
    DECIMAL.iter().find_map(|(suffix, power)| {
        let unit = 10_i128.pow(*power);
        (nanos % unit == 0).then(|| format!("{}{suffix}", nanos / unit))
    })
}

/// The server rounds away from zero.
fn ceiling(n: i128, by: i128) -> i128 {
    (n + by - 1) / by
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use proptest::prelude::*;

    #[test]
    fn quantities_have_one_form() {
        let form = |text| canonical(text).unwrap_or_else(|| "-".to_owned());
        for (text, want) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1Gi", "1Gi"),
            ("0.5Ki", "512"),
            ("147116.21Ki", "150647k"),
            ("1500k", "1500k"),
            ("2000k", "2M"),
            ("1e3", "1k"),
            ("100", "100"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-0.1", "-100m"),
            ("20GB", "-"),
            ("ten", "-"),
            ("", "-"),
            (".", "-"),
            ("1.2.3", "-"),
        ] {
            assert_eq!(form(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_a_fixed_point(n in 0u32..2_000_000, f in 0u32..1000, s in 0usize..12) {
            let suffix = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "u", "n"][s];
            if let Some(once) = canonical(&format!("{n}.{f}{suffix}")) {
                prop_assert_eq!(canonical(&once), Some(once));
            }
        }
    }
}
