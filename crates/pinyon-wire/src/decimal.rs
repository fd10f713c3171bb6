//! Decimal numbers to `f32`, eight digits at a time.
//!
//! Digits are gathered in a `u64`, of which one multiplication makes an `f64`. Three roundings are in it, of the digits, of
//! the power of ten and of the product, each by half a unit in the last place: it is off by less than three. Where the `f64` lies farther than that from the middle between two `f32`, rounding it gives the same `f32` as
//! rounding the number that was written (Clinger, "How to read floating point numbers accurately", 1990, with `f64` as the
//! wider format). Everything else is for the exact reader.

/// Ones in the low bits that an `f64` has more than an `f32`.
const DROPPED_BITS: u64 = (1 << 29) - 1;
/// The middle between two neighbours.
const HALF_WAY: u64 = 1 << 28;
/// Units in the last place of an `f64` around the middle in which nothing is certain; the error is below three.
const UNCERTAIN: u64 = 4;

/// Negative powers of ten, as near as an `f64` comes to them.
const TENTHS: [f64; 20] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
    1e-16, 1e-17, 1e-18, 1e-19,
];

/// The number in JSON's notation with which `bytes` begins, and how many bytes it has. What only other notations allow is
/// nothing, and so is a number beyond the range of `f32`.
#[inline]
pub(crate) fn number(bytes: &[u8]) -> Option<(f32, usize)> {
    plain(bytes).or_else(|| exact(bytes))
}

/// Bytes that are looked at: a digit, a point, three times eight digits of which few are the last.
const WINDOW: usize = 26;

/// One digit, a point, and up to 19 digits behind it, no exponent: components of a vector of length 1, as programs write
/// them. Nothing where the result cannot be certain.
///
/// No step but the last waits for where an earlier one ended, so that the processor works on several numbers at once.
#[inline]
fn plain(bytes: &[u8]) -> Option<(f32, usize)> {
    // A number and no branch: half of all components are negative, and no processor guesses which.
    let sign = usize::from(*bytes.first()? == b'-');
    let [whole, point, places @ ..]: &[u8; WINDOW] = bytes.get(sign..)?.first_chunk()?;
    let whole = u64::from(whole.wrapping_sub(b'0'));
    let [first, second] = [eight(places, 0), eight(places, 8)];
    let (value, count) = if not_digits(first) | not_digits(second) == 0 {
        let (front, third) = (eight_digits(first) * 100_000_000 + eight_digits(second), eight(places, 16));
        let count = leading_digits(third);
        (front.wrapping_mul(power(count)).wrapping_add(first_digits(third, count)), 16 + count)
    } else {
        let (before, count) = (leading_digits(first), leading_digits(second));
        match before {
            8 => (eight_digits(first) * power(count) + first_digits(second, count), 8 + count),
            _ => (first_digits(first, before), before),
        }
    };
    let fits = count > 0 && count < 19 + usize::from(whole == 0);
    if whole > 9 || *point != b'.' || !fits || matches!(places.get(count)?, b'e' | b'E') {
        return None;
    }
    let value = i64::try_from(value.wrapping_add(whole.wrapping_mul(power(count)))).ok()?;
    let rounded = certain(value as f64 * TENTHS.get(count)?)?;
    Some((f32::from_bits(rounded.to_bits() | (sign as u32) << 31), sign + 2 + count))
}

/// Rounds, where the error of `number` cannot have changed the result.
#[inline]
fn certain(number: f64) -> Option<f32> {
    let dropped = number.to_bits() & DROPPED_BITS;
    let is_certain = dropped.wrapping_sub(HALF_WAY - UNCERTAIN) > 2 * UNCERTAIN;
    (is_certain && number >= f64::from(f32::MIN_POSITIVE)).then_some(number as f32)
}

/// Eight bytes from `at` on as what they would be as digits: 0 to 9, or more.
#[inline]
fn eight(bytes: &[u8; WINDOW - 2], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight) ^ 0x3030_3030_3030_3030
}

/// The value of the first `count` of eight digits, less than eight.
#[inline]
const fn first_digits(digits: u64, count: usize) -> u64 {
    // Zeros in front, so that what is no digit falls out; in two steps, because none can be all.
    eight_digits((digits << 8) << (8 * (7 - (count & 7))))
}

/// Powers of ten that a `u64` holds; the rest is there so that a masked index needs no check.
const WHOLE_POWERS: [u64; 32] = {
    let (mut powers, mut at) = ([0; 32], 1);
    powers[0] = 1;
    while at < 20 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[inline]
const fn power(exponent: usize) -> u64 {
    WHOLE_POWERS[exponent & 31]
}

/// A high bit for every byte that is more than 9. A carry only reaches bytes behind the first one.
#[inline]
const fn not_digits(digits: u64) -> u64 {
    (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080
}

/// How many of eight bytes, first ones first, are 0 to 9.
#[inline]
const fn leading_digits(digits: u64) -> usize {
    not_digits(digits).trailing_zeros() as usize / 8
}

/// The value of eight digits, one in a byte, first one lowest: pairs, then fours, then all.
#[inline]
const fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

/// Any number of JSON, exactly.
#[cold]
fn exact(bytes: &[u8]) -> Option<(f32, usize)> {
    let digits = if bytes.first()? == &b'-' { bytes.get(1..)? } else { bytes };
    let is_padded = digits.first()? == &b'0' && digits.get(1).is_some_and(u8::is_ascii_digit);
    if !digits.first()?.is_ascii_digit() || is_padded {
        return None;
    }
    let (number, length): (f32, usize) = fast_float2::parse_partial(bytes).ok()?;
    let written = bytes.get(..length)?;
    let point = written.iter().position(|byte| *byte == b'.');
    let has_fraction = point.is_none_or(|point| written.get(point + 1).is_some_and(u8::is_ascii_digit));
    (number.is_finite() && has_fraction && written.last()?.is_ascii_digit()).then_some((number, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the standard library reads it, which rounds exactly.
    fn check(text: &str) {
        for end in ["", ",", "]", ", 0.25, 0.5, 1.5", "]        ", "\u{7f}\u{80}ÿÿÿÿÿÿÿÿ"] {
            let (number, length) = number(format!("{text}{end}").as_bytes()).unwrap();
            assert_eq!(number.to_bits(), text.parse::<f32>().unwrap().to_bits(), "{text}{end}");
            assert_eq!(length, text.len(), "{text}{end}");
        }
    }

    #[test]
    fn the_quick_way_is_taken_for_what_clients_write() {
        for text in ["0.012345678901234567", "-0.5", "2.25", "-0.0012345678901234567", "0.01234568"] {
            let (_, length) = plain(format!("{text},{}", " ".repeat(WINDOW)).as_bytes()).unwrap();
            assert_eq!(length, text.len());
        }
    }

    #[test]
    fn middles_and_their_neighbours_are_rounded_as_written() {
        for bits in (0x3080_0000_u32..0x4b00_0000).step_by(7_654_321) {
            let (low, high) = (f64::from(f32::from_bits(bits)), f64::from(f32::from_bits(bits + 1)));
            let middle = f64::midpoint(low, high).to_bits();
            for step in 0..12 {
                for near in [middle - step, middle + step] {
                    let near = f64::from_bits(near);
                    check(&format!("{near}"));
                    check(&format!("{near:.17}"));
                    check(&format!("-{near:.9}"));
                }
            }
        }
    }

    #[test]
    fn edges_of_the_range() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "340282346638528859811704183484516925440.0",
            "16777217.0",
            "16777219.0",
            "0.00000000000000000000000000000000000001",
            "18446744073709551615.5",
            "9999999999999999999.9",
            "0.0000000000000000000001",
            "0.00000000000000000000001",
            "1.00000005960464477539062500",
            "0.1e1",
            "1.5E-3",
        ] {
            check(text);
        }
        assert_eq!(number(b"340282356779733661637539395458142568448.0,       "), None);
    }

    proptest! {
        #[test]
        fn any_digits_read_as_the_standard_library_reads_them(
            text in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,26})?([eE][+-]?[0-9]{1,2})?",
        ) {
            if text.parse::<f32>().is_ok_and(f32::is_finite) {
                check(&text);
            }
        }

        #[test]
        fn any_float_reads_as_itself(bits: u32) {
            let number = f32::from_bits(bits);
            if number.is_finite() {
                check(&format!("{number}"));
                check(&format!("{}", f64::from(number)));
            }
        }
    }
}
