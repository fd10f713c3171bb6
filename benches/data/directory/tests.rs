//! A small directory, whole and with one file spoilt.

use crate::{
    Condition, DataError, Dataset,
    npy::tests::{Scratch, file},
};

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn ints(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Three rows of two components, two queries, two tenants, one category of two with answers.
fn directory(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let write = |name: &str, dtype: &str, shape: &str, data: &[u8]| {
        scratch.write(&format!("{name}.npy"), &file(dtype, false, shape, data));
    };
    write("base.f16", "<f2", "(3, 2)", &[0, 0x40, 0, 0, 0, 0, 0, 0x3c, 0, 0x3c, 0, 0x3c]);
    write("queries", "<f4", "(2, 2)", &floats(&[1.0, 0.0, 0.0, 3.0]));
    write("tenants", "<i4", "(3,)", &ints(&[0, 1, 1]));
    write("gt100", "<i4", "(2, 3)", &ints(&[0, 2, 1, 1, 2, 0]));
    for pairs in ["prop", "uni"] {
        write(&format!("pair_{pairs}"), "<i4", "(2,)", &ints(&[0, 1]));
        write(&format!("gt_{pairs}"), "<i4", "(2, 2)", &ints(&[0, -1, 1, 2]));
    }
    write("num", "<f4", "(3,)", &floats(&[0.0005, 0.05, 0.5]));
    write("flag", "|b1", "(3,)", &[1, 0, 1]);
    write("cat", "<i2", "(3,)", &[0, 0, 1, 0, 1, 0]);
    for filter in ["flag50", "num10", "num1", "num01", "cat_b"] {
        write(&format!("gt_{filter}"), "<i4", "(2, 1)", &ints(&[0, -1]));
    }
    scratch.write("cats.json", br#"["a", "b"]"#);
    scratch
}

#[test]
fn a_whole_directory_is_read() {
    let scratch = directory("whole");
    let set = Dataset::read(scratch.path()).expect("it is read");
    assert_eq!((set.base.len(), set.base.dim, set.queries.len()), (3, 2, 2));
    assert_eq!(set.base.row(0), [1.0, 0.0], "rows are normalised");
    assert_eq!(set.queries.row(1), [0.0, 1.0]);
    assert_eq!(set.truth.nearest(1, 2), [1, 2]);
    assert_eq!(set.proportional.truth.nearest(0, 10), [0], "-1 ends the answers");
    assert_eq!(
        (set.tenants.as_slice(), set.uniform.tenants.as_slice()),
        ([0, 1, 1].as_slice(), [0, 1].as_slice())
    );
    let filters: Vec<String> = set.filters.iter().map(|filter| filter.condition.to_string()).collect();
    assert_eq!(filters, ["flag", "num<0.1", "num<0.01", "num<0.001", "cat=b"]);
    let passing = |condition: &Condition| (0..3).filter(|at| set.attributes.passes(condition, *at)).count();
    assert_eq!(
        set.filters.iter().map(|filter| passing(&filter.condition)).collect::<Vec<_>>(),
        [2, 2, 1, 1, 2]
    );
}

fn error_with(name: &str, spoilt: &str, bytes: &[u8]) -> DataError {
    let scratch = directory(name);
    scratch.write(spoilt, bytes);
    Dataset::read(scratch.path()).expect_err("refused")
}

#[test]
fn files_that_do_not_fit_are_named() {
    let two = file("<i4", false, "(2,)", &ints(&[0, 1]));
    let error = error_with("tenants", "tenants.npy", &two);
    assert!(error.to_string().ends_with("tenants.npy has the shape [2], wanted [3]"), "{error}");
    let error = error_with("answers", "gt100.npy", &two);
    assert!(
        error.to_string().ends_with("gt100.npy has the shape [2], wanted answers to 2 queries"),
        "{error}"
    );
    let wide = file("<f4", false, "(1, 3)", &floats(&[1.0, 0.0, 0.0]));
    let error = error_with("wide", "queries.npy", &wide);
    assert!(error.to_string().ends_with("queries.npy has the shape [1, 3], wanted rows of 2"), "{error}");
}

#[test]
fn numbers_beyond_their_range_are_refused() {
    let error = error_with("rows", "gt_uni.npy", &file("<i4", false, "(2, 1)", &ints(&[0, 3])));
    assert!(error.to_string().ends_with("gt_uni.npy holds the number 3, wanted one below 3"), "{error}");
    let error = error_with("category", "cat.npy", &file("|i1", false, "(3,)", &[0, 255, 1]));
    assert!(error.to_string().ends_with("cat.npy holds the number -1, wanted one below 2"), "{error}");
    let error = error_with("names", "cats.json", b"{}");
    assert!(error.to_string().ends_with("cats.json is no JSON list of names"), "{error}");
}
