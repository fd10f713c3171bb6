//! The metadata filter: a tree of field tests, and its plain meaning, which every faster evaluation must equal.

use crate::{Fields, Invalid, ValueRef, limits};

/// A value that a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text.
    String(String),
    /// A number; never NaN or infinite.
    Number(f64),
    /// True or false.
    Bool(bool),
}

/// A test of one field's value. Types are never converted: the number 3 is not the text "3".
///
/// A record without the field passes only `Exists(false)`. In particular `Ne` and `NotIn` do not match a missing
/// field, as in Pinecone's serverless indexes; MongoDB's reading is `Or([Ne, Exists(false)])`.
/// On a list of texts, `Eq` and `In` match when any element does, `Ne` and `NotIn` when none does.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldTest {
    /// Equal.
    Eq(Scalar),
    /// Present and not equal.
    Ne(Scalar),
    /// A number greater than.
    Gt(f64),
    /// A number greater than or equal.
    Gte(f64),
    /// A number less than.
    Lt(f64),
    /// A number less than or equal.
    Lte(f64),
    /// Equal to one of these.
    In(Vec<Scalar>),
    /// Present and equal to none of these.
    NotIn(Vec<Scalar>),
    /// Present (true) or missing (false).
    Exists(bool),
}

/// A filter over metadata. Made by a caller, then checked once with [`Filter::checked`].
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every one holds; never empty once checked.
    And(Vec<Filter>),
    /// At least one holds; never empty once checked.
    Or(Vec<Filter>),
    /// Does not hold: the complement, records without the field included.
    Not(Box<Filter>),
    /// A test of one field.
    Field {
        /// The field's literal name.
        name: String,
        /// The test.
        test: FieldTest,
    },
}

impl Filter {
    /// A test of one field.
    pub fn field(name: impl Into<String>, test: FieldTest) -> Self {
        Self::Field { name: name.into(), test }
    }

    /// Checks depth, size and numbers.
    ///
    /// # Errors
    /// Deeper than [`limits::FILTER_DEPTH_MAX`], more leaves than [`limits::FILTER_LEAVES_MAX`], an empty `And` or
    /// `Or`, a list longer than [`limits::FILTER_VALUES_MAX`], or a number that is not finite.
    pub fn checked(self) -> Result<Self, Invalid> {
        let leaves = check_tree(&self, 1)?;
        if leaves > limits::FILTER_LEAVES_MAX {
            let problem =
                format!("must have at most {} field tests, has {leaves}", limits::FILTER_LEAVES_MAX);
            return Err(Invalid::new("filter", problem));
        }
        Ok(self)
    }

    /// The same filter in MongoDB's reading: `Ne` and `NotIn` match records that lack the field.
    #[must_use]
    pub fn matching_missing(self) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::matching_missing).collect();
        match self {
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.matching_missing())),
            Self::Field { name, test: test @ (FieldTest::Ne(_) | FieldTest::NotIn(_)) } => {
                let missing = Self::field(name.clone(), FieldTest::Exists(false));
                Self::Or(vec![Self::Field { name, test }, missing])
            }
            other @ Self::Field { .. } => other,
        }
    }

    /// Whether a record passes: the definition of the filter's meaning.
    pub fn matches(&self, record: &impl Fields) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Not(part) => !part.matches(record),
            Self::Field { name, test } => test.matches(record.field(name).as_ref()),
        }
    }
}

impl FieldTest {
    /// Whether a field's value (`None`: the record lacks the field) passes.
    pub fn matches(&self, value: Option<&ValueRef<'_>>) -> bool {
        let Some(value) = value else { return *self == Self::Exists(false) };
        match self {
            Self::Eq(wanted) => equals(value, wanted),
            Self::Ne(unwanted) => !equals(value, unwanted),
            Self::In(wanted) => wanted.iter().any(|wanted| equals(value, wanted)),
            Self::NotIn(unwanted) => !unwanted.iter().any(|unwanted| equals(value, unwanted)),
            Self::Gt(bound) => number(value).is_some_and(|number| number > *bound),
            Self::Gte(bound) => number(value).is_some_and(|number| number >= *bound),
            Self::Lt(bound) => number(value).is_some_and(|number| number < *bound),
            Self::Lte(bound) => number(value).is_some_and(|number| number <= *bound),
            Self::Exists(wanted) => *wanted,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        let values = match self {
            Self::Eq(value) | Self::Ne(value) => std::slice::from_ref(value),
            Self::In(values) | Self::NotIn(values) => values,
            Self::Gt(bound) | Self::Gte(bound) | Self::Lt(bound) | Self::Lte(bound) => {
                return check_number(*bound);
            }
            Self::Exists(_) => &[],
        };
        if values.len() > limits::FILTER_VALUES_MAX {
            let problem = format!(
                "a list must have at most {} values, has {}",
                limits::FILTER_VALUES_MAX,
                values.len()
            );
            return Err(Invalid::new("filter", problem));
        }
        values.iter().try_for_each(|value| match value {
            Scalar::Number(number) => check_number(*number),
            Scalar::String(_) | Scalar::Bool(_) => Ok(()),
        })
    }
}

fn equals(value: &ValueRef<'_>, wanted: &Scalar) -> bool {
    match (value, wanted) {
        (ValueRef::String(have), Scalar::String(want)) => have == want,
        (ValueRef::Number(have), Scalar::Number(want)) => have == want,
        (ValueRef::Bool(have), Scalar::Bool(want)) => have == want,
        (ValueRef::Strings(have), Scalar::String(want)) => have.iter().any(|have| have == want),
        (ValueRef::String(_) | ValueRef::Number(_) | ValueRef::Bool(_) | ValueRef::Strings(_), _) => false,
    }
}

const fn number(value: &ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Number(number) => Some(*number),
        ValueRef::String(_) | ValueRef::Bool(_) | ValueRef::Strings(_) => None,
    }
}

fn check_number(number: f64) -> Result<(), Invalid> {
    if number.is_finite() {
        return Ok(());
    }
    Err(Invalid::new("filter", "numbers must be finite"))
}

/// Returns the number of leaves.
fn check_tree(filter: &Filter, depth: usize) -> Result<usize, Invalid> {
    if depth > limits::FILTER_DEPTH_MAX {
        let problem = format!("must be nested at most {} deep", limits::FILTER_DEPTH_MAX);
        return Err(Invalid::new("filter", problem));
    }
    match filter {
        Filter::And(parts) | Filter::Or(parts) if parts.is_empty() => {
            Err(Invalid::new("filter", "$and and $or need at least one part"))
        }
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().try_fold(0, |leaves, part| Ok(leaves + check_tree(part, depth + 1)?))
        }
        Filter::Not(part) => check_tree(part, depth + 1),
        Filter::Field { test, .. } => test.check().map(|()| 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, MetadataValue};

    #[test]
    fn the_other_reading_matches_missing_fields_where_values_are_refused() {
        let ne = |name: &str| Filter::field(name, FieldTest::Ne(Scalar::String("drama".into())));
        let not_in = Filter::field("none", FieldTest::NotIn(vec![Scalar::Bool(true)]));
        for (filter, strict, other) in [
            (ne("genre"), false, false),
            (ne("none"), false, true),
            (not_in.clone(), false, true),
            (Filter::And(vec![ne("none"), Filter::Not(Box::new(ne("genre")))]), false, true),
            (Filter::Not(Box::new(not_in)), true, false),
            (Filter::field("none", FieldTest::Gt(1.0)), false, false),
        ] {
            assert_eq!(filter.matches(&record()), strict, "{filter:?}");
            assert_eq!(filter.clone().matching_missing().matches(&record()), other, "{filter:?}");
        }
    }

    fn record() -> Metadata {
        let fields = [
            ("genre", MetadataValue::String("drama".into())),
            ("year", MetadataValue::Number(2020.0)),
            ("seen", MetadataValue::Bool(true)),
            ("tags", MetadataValue::Strings(["a", "b"].into())),
            ("a.b c", MetadataValue::Number(1.0)),
        ];
        Metadata::new(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).unwrap()
    }

    fn text(text: &str) -> Scalar {
        Scalar::String(text.to_owned())
    }

    #[test]
    fn every_test_has_its_documented_meaning() {
        use FieldTest::*;
        for (name, test, expected) in [
            ("genre", Eq(text("drama")), true),
            ("genre", Ne(text("drama")), false),
            ("year", Eq(text("2020")), false),
            ("seen", Eq(Scalar::Number(1.0)), false),
            ("seen", Eq(Scalar::Bool(true)), true),
            ("tags", Eq(text("b")), true),
            ("tags", Ne(text("b")), false),
            ("tags", Ne(text("c")), true),
            ("tags", In(vec![text("x"), text("a")]), true),
            ("tags", NotIn(vec![text("x"), text("a")]), false),
            ("tags", In(vec![]), false),
            ("tags", NotIn(vec![]), true),
            ("year", Gt(2019.5), true),
            ("year", Gte(2020.0), true),
            ("year", Lt(2020.0), false),
            ("year", Lte(2020.0), true),
            ("genre", Gt(0.0), false),
            ("a.b c", Eq(Scalar::Number(1.0)), true),
            ("genre", Exists(true), true),
            ("genre", Exists(false), false),
            ("none", Exists(true), false),
            ("none", Exists(false), true),
            ("none", Ne(text("x")), false),
            ("none", NotIn(vec![text("x")]), false),
            ("none", Eq(text("x")), false),
        ] {
            let filter = Filter::field(name, test);
            assert_eq!(filter.matches(&record()), expected, "{filter:?}");
        }
    }

    #[test]
    fn not_is_the_complement_and_reaches_records_without_the_field() {
        let filter = Filter::Not(Box::new(Filter::field("none", FieldTest::Eq(text("x")))));
        assert!(filter.matches(&record()));
    }

    #[test]
    fn checks_name_the_limit_that_was_passed() {
        let leaf = || Filter::field("f", FieldTest::Exists(true));
        let deep = (0..16).fold(leaf(), |inner, _| Filter::Not(Box::new(inner)));
        assert!(deep.checked().unwrap_err().problem.contains("16 deep"));
        assert!(Filter::And(vec![]).checked().is_err());
        let wide = Filter::Or((0..1025).map(|_| leaf()).collect());
        assert!(wide.checked().unwrap_err().problem.contains("1024 field tests"));
        assert!(Filter::field("f", FieldTest::Gt(f64::INFINITY)).checked().is_err());
        let long = FieldTest::In(vec![Scalar::Bool(true); 10_001]);
        assert!(Filter::field("f", long).checked().is_err());
    }
}
