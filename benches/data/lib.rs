//! Data for benches: rows of an `.npy` file named by `PINYON_BENCH_DATA`, or generated ones that lie as embeddings of
//! real texts do, around many centres.

use pinyon_types::SeededRng;
use std::{fs, io, path::Path};

/// Rows of one length, one after the other.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Components of a row.
    pub dim: usize,
    /// All rows.
    pub values: Vec<f32>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `at`.
    ///
    /// # Panics
    /// There is no such row.
    pub fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.dim..(at + 1) * self.dim]
    }
}

/// Base rows and queries: from the directory that `PINYON_BENCH_DATA` names (`base.f16.npy` or `base.npy`, and
/// `queries.npy`), else generated. Returns where they came from, too.
///
/// # Errors
/// A directory that is named and cannot be read.
pub fn load(rows_max: usize) -> io::Result<(Rows, Rows, String)> {
    let Some(dir) = std::env::var_os("PINYON_BENCH_DATA") else {
        let all = generate(rows_max + 500, 384);
        let (base, queries) = all.values.split_at(rows_max * 384);
        let rows = |values: &[f32]| Rows { dim: 384, values: values.to_vec() };
        return Ok((rows(base), rows(queries), "generated".into()));
    };
    let dir = Path::new(&dir);
    let half = dir.join("base.f16.npy");
    let mut base = read_npy(if half.exists() { &half } else { Path::new("base.npy") }, dir)?;
    base.values.truncate(rows_max * base.dim);
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok((base, read_npy(Path::new("queries.npy"), dir)?, name.unwrap_or_default()))
}

fn generate(count: usize, dim: usize) -> Rows {
    let mut rng = SeededRng::new(384);
    let mut gauss = || ((0..6).map(|_| rng.unit()).sum::<f64>() - 3.0) as f32;
    let centres: Vec<f32> = (0..400 * dim).map(|_| gauss()).collect();
    let values = (0..count).flat_map(|row| {
        let centre = row * 7919 % 400 * dim;
        (0..dim).map(|at| centres[centre + at] + 0.8 * gauss()).collect::<Vec<f32>>()
    });
    Rows { dim, values: values.collect() }
}

/// Reads a two-dimensional array of little-endian f32 or f16 (NumPy format 1.0).
fn read_npy(path: &Path, dir: &Path) -> io::Result<Rows> {
    let bytes = fs::read(dir.join(path))?;
    let bad = || {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: not an array of f2 or f4", path.display()))
    };
    let length =
        bytes.get(8..10).map(|two| usize::from(two[0]) | usize::from(two[1]) << 8).ok_or_else(bad)?;
    let header = std::str::from_utf8(bytes.get(10..10 + length).ok_or_else(bad)?).map_err(|_| bad())?;
    let shape = header.split("'shape': (").nth(1).and_then(|rest| rest.split(')').next()).ok_or_else(bad)?;
    let dim = shape.split(',').nth(1).and_then(|text| text.trim().parse().ok()).ok_or_else(bad)?;
    let data = &bytes[10 + length..];
    let values = if header.contains("<f2") {
        data.as_chunks::<2>().0.iter().map(|half| from_half(u16::from_le_bytes(*half))).collect()
    } else if header.contains("<f4") {
        data.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
    } else {
        return Err(bad());
    };
    Ok(Rows { dim, values })
}

/// IEEE 754 half precision to single.
fn from_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 => f32::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::from_half;

    #[test]
    fn halves_are_read() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)]
        {
            assert_eq!(from_half(bits), value);
        }
    }
}
