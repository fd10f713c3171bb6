//! A data set read from a directory of `.npy` files; `benches/README.md` lists them.

use crate::{
    Array, Attributes, Condition, DataError, Dataset, Element, FilterTruth, Neighbours, Pairs, Rows, Size,
    generate, npy,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The conditions that every directory has answers for, by file.
const FILTERS: [(&str, Condition); 4] = [
    ("gt_flag50", Condition::Flag),
    ("gt_num10", Condition::NumBelow(0.1)),
    ("gt_num1", Condition::NumBelow(0.01)),
    ("gt_num01", Condition::NumBelow(0.001)),
];

/// Base rows and queries: from the directory that `PINYON_BENCH_DATA` names (`base.f16.npy` or `base.npy`, and
/// `queries.npy`), else generated. Returns where they came from, too.
///
/// # Errors
/// A directory that is named and cannot be read.
pub fn load(rows_max: usize) -> Result<(Rows, Rows, String), DataError> {
    let Some(directory) = Directory::from_environment() else {
        let (base, queries) = generate::rows(rows_max, 500, 384);
        return Ok((base, queries, "generated".into()));
    };
    let mut base = directory.base()?;
    base.values.truncate(rows_max * base.dim);
    Ok((base, directory.rows("queries")?, directory.name()))
}

impl Dataset {
    /// The whole set: from the directory that `PINYON_BENCH_DATA` names, else a small generated one.
    ///
    /// # Errors
    /// A directory that is named and cannot be read, or whose files do not fit each other.
    pub fn load() -> Result<Self, DataError> {
        Directory::from_environment()
            .map_or_else(|| Ok(Self::generate(Size::SMALL)), |directory| directory.dataset())
    }

    /// The whole set from a directory.
    ///
    /// # Errors
    /// The directory cannot be read, or its files do not fit each other.
    pub fn read(directory: &Path) -> Result<Self, DataError> {
        Directory(directory.into()).dataset()
    }
}

struct Directory(PathBuf);

impl Directory {
    fn from_environment() -> Option<Self> {
        std::env::var_os("PINYON_BENCH_DATA").map(|path| Self(path.into()))
    }

    fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.npy"))
    }

    fn dataset(&self) -> Result<Dataset, DataError> {
        let base = self.base()?.normalised();
        let queries = self.rows("queries")?.normalised();
        if queries.dim != base.dim {
            let got = vec![queries.len(), queries.dim];
            return Err(self.misfit("queries", got, format!("rows of {}", base.dim)));
        }
        let (rows, count) = (base.len(), queries.len());
        let tenants = self.counts("tenants", rows, u32::MAX as usize)?;
        let attributes = self.attributes(rows)?;
        Ok(Dataset {
            name: self.name(),
            truth: self.neighbours("gt100", count, rows)?,
            proportional: self.pairs("prop", count, rows)?,
            uniform: self.pairs("uni", count, rows)?,
            filters: self.filters(&attributes, count, rows)?,
            base,
            queries,
            tenants,
            attributes,
        })
    }

    fn base(&self) -> Result<Rows, DataError> {
        self.rows(if self.path("base.f16").exists() { "base.f16" } else { "base" })
    }

    fn rows(&self, name: &str) -> Result<Rows, DataError> {
        let array = npy::read::<f32>(&self.path(name))?;
        match array.shape[..] {
            [_, dim] if dim > 0 => Ok(Rows { dim, values: array.values }),
            _ => Err(self.misfit(name, array.shape, "rows of components".into())),
        }
    }

    /// A file of one value for each of `length` things.
    fn column<T: Element>(&self, name: &str, length: usize) -> Result<Vec<T>, DataError> {
        let Array { shape, values } = npy::read(&self.path(name))?;
        if shape != [length] { Err(self.misfit(name, shape, format!("[{length}]"))) } else { Ok(values) }
    }

    /// A column of whole numbers below `limit`.
    fn counts<T: TryFrom<i64>>(&self, name: &str, length: usize, limit: usize) -> Result<Vec<T>, DataError> {
        let checked = |got: i64| {
            let is_below = usize::try_from(got).is_ok_and(|number| number < limit);
            let number = is_below.then(|| T::try_from(got).ok()).flatten();
            number.ok_or_else(|| DataError::OutOfRange { path: self.path(name), got, limit })
        };
        self.column(name, length)?.into_iter().map(checked).collect()
    }

    /// Answers to `count` queries among `rows` rows; -1 stands where there are no more.
    fn neighbours(&self, name: &str, count: usize, rows: usize) -> Result<Neighbours, DataError> {
        let Array { shape, values } = npy::read::<i64>(&self.path(name))?;
        let width = match shape[..] {
            [found, width] if found == count && width > 0 => width,
            _ => return Err(self.misfit(name, shape, format!("answers to {count} queries"))),
        };
        let checked = |got: i64| match u32::try_from(got) {
            Ok(row) if (row as usize) < rows => Ok(row),
            _ => Err(DataError::OutOfRange { path: self.path(name), got, limit: rows }),
        };
        let answers = values.chunks(width);
        let answers =
            answers.map(|row| row.iter().take_while(|id| **id != -1).map(|id| checked(*id)).collect());
        answers.collect::<Result<_, _>>().map(Neighbours)
    }

    fn pairs(&self, name: &str, count: usize, rows: usize) -> Result<Pairs, DataError> {
        Ok(Pairs {
            tenants: self.counts(&format!("pair_{name}"), count, u32::MAX as usize)?,
            truth: self.neighbours(&format!("gt_{name}"), count, rows)?,
        })
    }

    fn attributes(&self, rows: usize) -> Result<Attributes, DataError> {
        let path = self.0.join("cats.json");
        let text = fs::read(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
        let category_names: Vec<String> =
            serde_json::from_slice(&text).map_err(|source| DataError::Names { path, source })?;
        Ok(Attributes {
            num: self.column("num", rows)?,
            flag: self.column("flag", rows)?,
            category: self.counts("cat", rows, category_names.len())?,
            category_names,
        })
    }

    /// The four conditions of every set, and those on categories that there are answers for.
    fn filters(&self, fields: &Attributes, count: usize, rows: usize) -> Result<Vec<FilterTruth>, DataError> {
        let fixed = FILTERS.into_iter().map(|(file, condition)| (file.to_owned(), condition));
        let categories = fields.category_names.iter().map(|name| {
            let condition = Condition::Category(name.clone());
            (format!("gt_cat_{name}"), condition)
        });
        let answered = categories.filter(|(file, _)| self.path(file).exists());
        let read = |(file, condition): (String, Condition)| {
            Ok(FilterTruth { condition, truth: self.neighbours(&file, count, rows)? })
        };
        fixed.chain(answered).map(read).collect()
    }

    fn misfit(&self, name: &str, got: Vec<usize>, wanted: String) -> DataError {
        DataError::Shape { path: self.path(name), got, wanted }
    }
}

#[cfg(test)]
mod tests;
