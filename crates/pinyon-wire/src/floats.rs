//! The one array that makes a query long, read faster than a general reader of JSON can: a vector of 1536 components is 30 KB
//! of digits and nearly all of a query's body.

use crate::{
    bounded::COMPONENTS_MAX,
    decimal,
    lenient::{self, Reading},
    vectors::QueryRequest,
};

/// Bytes that a component and the comma behind it take about, for the first allocation.
const COMPONENT_BYTES: usize = 20;

/// Most bytes beside the array: they are copied, and read without counting what is made of them.
const REST_BYTES_MAX: usize = 64 << 10;

impl QueryRequest {
    /// Reads a body whose vector is a plain array of numbers and in which nothing is wrong; nothing otherwise.
    pub fn read_plain(body: &[u8]) -> Option<Self> {
        let (vector, rest) = take_array(body, "vector")?;
        // Clients send null for what they leave open; the rest is short, so reading it twice costs little.
        let read = serde_json::from_slice(&rest).or_else(|_| lenient::read(&rest, Reading::Proto3));
        let request: Self = read.ok()?;
        Some(Self { vector, ..request })
    }
}

/// Reads the array of numbers that an object's member `name` holds, and gives the object with an empty array in its place.
/// Nothing if there is no such member at the top, if it holds anything but plain numbers, or if the rest is long: then the whole body is for the
/// general reader, which also knows what to say of what is wrong.
pub fn take_array(body: &[u8], name: &str) -> Option<(Vec<f32>, Vec<u8>)> {
    let start = array_of(body, name)?;
    let (numbers, length) = numbers(body.get(start..)?)?;
    let rest = body.get(start + length..)?;
    if start + rest.len() > REST_BYTES_MAX {
        return None;
    }
    Some((numbers, [body.get(..start)?, rest].concat()))
}

/// Where the array of a member at the top begins, behind its bracket.
fn array_of(body: &[u8], name: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match body.get(at)? {
            b'"' => {
                let end = string_end(body, at + 1)?;
                let is_member = depth == 1 && body.get(at + 1..end)? == name.as_bytes();
                at = end + 1;
                if is_member && let Some(array) = array_behind_colon(body, at) {
                    return Some(array);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
}

/// The quote that ends a string, which begins at a place.
pub(crate) fn string_end(body: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn array_behind_colon(body: &[u8], at: usize) -> Option<usize> {
    let colon = skip_space(body, at);
    if body.get(colon) != Some(&b':') {
        return None;
    }
    let bracket = skip_space(body, colon + 1);
    (body.get(bracket) == Some(&b'[')).then_some(bracket + 1)
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let space = bytes.iter().skip(from).take_while(|byte| byte.is_ascii_whitespace()).count();
    from + space
}

/// The numbers up to the closing bracket, and how many bytes stand before it.
fn numbers(bytes: &[u8]) -> Option<(Vec<f32>, usize)> {
    let mut numbers = Vec::with_capacity((bytes.len() / COMPONENT_BYTES).min(COMPONENTS_MAX));
    let mut at = skip_space(bytes, 0);
    loop {
        let (number, length) = decimal::number(bytes.get(at..)?)?;
        if numbers.len() == COMPONENTS_MAX {
            return None;
        }
        numbers.push(number);
        at += length;
        if bytes.get(at)?.is_ascii_whitespace() {
            at = skip_space(bytes, at);
        }
        match bytes.get(at)? {
            b',' => at += 1,
            b']' => return Some((numbers, at)),
            _ => return None,
        }
        if bytes.get(at)?.is_ascii_whitespace() {
            at = skip_space(bytes, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(body: &str) -> Option<(Vec<f32>, String)> {
        let (numbers, rest) = take_array(body.as_bytes(), "vector")?;
        Some((numbers, String::from_utf8(rest).unwrap()))
    }

    #[test]
    fn the_array_is_taken_and_the_rest_stays() {
        let (numbers, rest) =
            taken(r#" {"topK": 3, "vector" : [ 1,-0.5 , 2.5e-3,0, 1E2 ], "id":""}"#).unwrap();
        assert_eq!(numbers, [1.0, -0.5, 0.0025, 0.0, 100.0]);
        assert_eq!(rest, r#" {"topK": 3, "vector" : [], "id":""}"#);
        let nested = r#"{"filter":{"vector":[9]},"a":"\"vector\":[8]","vector":[7]}"#;
        assert_eq!(taken(nested).unwrap().0, [7.0]);
        assert_eq!(taken(r#"{"id":"vector","vector":[3]}"#).unwrap().0, [3.0]);
    }

    #[test]
    fn what_is_not_plain_numbers_is_left_to_the_general_reader() {
        for array in [
            "[]", "[1,]", "[,1]", "[1 2]", "[+1]", "[01]", "[1.]", "[.5]", "[1.e3]", "[1e]", "[-]", "[nan]",
            "[inf]", "[1e39]", "[\"1\"]", "[null]", "[[1]]", "[1", "1", "{}", "[1e+]", "[0x1]", "[-01]",
            "[1_0]",
        ] {
            assert_eq!(taken(&format!(r#"{{"vector":{array}}}"#)), None, "{array}");
        }
        for body in [
            "",
            "{",
            "[1]",
            r#"{"vectors":[1]}"#,
            r#"{"a":{"vector":[1]}}"#,
            r#"{"vector"#,
            r#"}"vector":[1]"#,
        ] {
            assert_eq!(taken(body), None, "{body}");
        }
        let beside = |bytes: usize| format!(r#"{{"vector":[1],"a":"{}"}}"#, "x".repeat(bytes));
        assert!(taken(&beside(REST_BYTES_MAX - 100)).is_some());
        assert_eq!(taken(&beside(REST_BYTES_MAX)), None);
    }

    #[test]
    fn numbers_are_those_that_were_written() {
        for bits in (0..u32::MAX).step_by(2_654_435) {
            let number = f32::from_bits(bits);
            if number.is_finite() {
                let text = format!(r#"{{"vector":[{number:e},{}]}}"#, f64::from(number));
                assert_eq!(taken(&text).unwrap().0, [number, number], "{text}");
            }
        }
    }
}
