//! Circles of small made-up crates.

use super::*;

/// The largest circle of a crate of these files, as `a.rs b.rs`.
fn largest_of(files: &[(&str, &str)]) -> String {
    circles_of(files)
        .first()
        .map(|circle| circle.keys().cloned().collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

fn circles_of(files: &[(&str, &str)]) -> Vec<Circle> {
    of_crate("made-up", &sources(files))
}

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    let source =
        |(path, text): &(&str, &str)| Source { path: format!("crates/made-up/{path}"), text: (*text).into() };
    let mut sources: Vec<Source> = files.iter().map(source).collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

#[test]
fn a_crate_whose_files_only_look_down_has_no_circle() {
    let files = [
        ("src/lib.rs", "mod a; mod b; pub use a::A;"),
        ("src/a.rs", "use crate::b::B; pub struct A(B);"),
        ("src/b.rs", "pub struct B;"),
    ];
    assert_eq!(largest_of(&files), "");
}

#[test]
fn two_files_that_import_each_other_are_a_circle() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A(B);"),
        ("src/b.rs", "pub struct B; fn f(a: &crate::a::A) {}"),
    ];
    assert_eq!(largest_of(&files), "a.rs b.rs");
}

#[test]
fn an_item_of_the_parents_file_is_an_import_of_it() {
    let parent = "mod child; pub struct Own; fn f() { child::g(); }";
    let child = |from: &str| format!("use {from}::Own; pub fn g() -> Own {{ Own }}");
    for from in ["super", "crate::parent"] {
        let child = child(from);
        let files =
            [("src/lib.rs", "mod parent;"), ("src/parent/mod.rs", parent), ("src/parent/child.rs", &child)];
        assert_eq!(largest_of(&files), "parent/child.rs parent/mod.rs");
    }
}

#[test]
fn a_re_export_leads_to_the_file_that_defines_the_item() {
    let root = ("src/lib.rs", "mod floor; mod top;");
    let floor =
        ("src/floor/mod.rs", "mod one; mod two; pub use one::One; pub use two::{Two as Second, helped};");
    let one = ("src/floor/one.rs", "use super::Second; pub struct One(Second);");
    let top = ("src/top.rs", "use crate::floor; fn f() { floor::helped(); }");
    let two = |text| ("src/floor/two.rs", text);
    let apart = [root, floor, one, top, two("pub struct Two; pub fn helped() {}")];
    assert_eq!(largest_of(&apart), "", "the file that only re-exports closes no circle");
    let circle = [root, floor, one, top, two("pub struct Two; pub fn helped(one: super::One) {}")];
    assert_eq!(largest_of(&circle), "floor/one.rs floor/two.rs");
}

#[test]
fn what_a_file_re_exports_and_does_not_use_is_no_import_of_it() {
    let largest_with = |parent: &str| {
        let child = ("src/parent/child.rs", "use super::Own; pub struct Child(Own);");
        largest_of(&[("src/lib.rs", "mod parent;"), ("src/parent/mod.rs", parent), child])
    };
    for signpost in ["pub use", "pub(crate) use", "pub(in crate::parent) use"] {
        let text = format!("mod child; {signpost} child::Child; pub struct Own;");
        assert_eq!(largest_with(&text), "", "{signpost}");
        let text = format!("{text} fn f(child: Child) {{}}");
        assert_eq!(largest_with(&text), "parent/child.rs parent/mod.rs", "{signpost}");
    }
    let text = "mod child; use child::Child; pub struct Own;";
    assert_eq!(largest_with(text), "parent/child.rs parent/mod.rs");
}

#[test]
fn a_function_named_as_its_module_is_found_in_it() {
    let files = [
        ("src/lib.rs", "mod guard; mod other; use guard::guard;"),
        ("src/guard.rs", "pub fn guard(_: crate::other::Other) {}"),
        ("src/other.rs", "use crate::guard; pub struct Other; fn f() { guard::guard(Other) }"),
    ];
    assert_eq!(largest_of(&files), "guard.rs other.rs");
}

#[test]
fn nested_lists_name_each_of_their_files() {
    let files = [
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "use crate::{b::{self, B}, c::{inner::{C}}}; fn f() { b::g(); }"),
        ("src/b.rs", "pub struct B; pub fn g() {} use super::{c::inner as other}; fn h(_: other::C) {}"),
        ("src/c.rs", "pub mod inner { pub struct C; fn up() { super::super::a::f() } }"),
    ];
    assert_eq!(largest_of(&files), "a.rs b.rs c.rs");
}

#[test]
fn everything_of_a_module_counts_where_a_name_of_it_is_used() {
    let a = |text| ("src/a.rs", text);
    let rest = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/b.rs", "use crate::a::A; pub struct B(A); pub const X: u8 = 1;"),
    ];
    let with = |text| [a(text), rest[0], rest[1]];
    assert_eq!(largest_of(&with("use super::b::*; pub struct A; fn f() -> u8 { X }")), "a.rs b.rs");
    assert_eq!(largest_of(&with("use super::b::*; pub struct A;")), "");
}

#[test]
fn tests_comments_and_strings_close_no_circle() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A(B);"),
        (
            "src/b.rs",
            "pub struct B; // use crate::a::A;\nconst X: &str = \"crate::a::A\"; #[cfg(test)] mod tests; #[cfg(test)] mod \
             more { use crate::a::A; }",
        ),
        ("src/b/tests.rs", "use crate::a::A;"),
    ];
    assert_eq!(largest_of(&files), "");
}

#[test]
fn imports_that_lead_to_themselves_come_to_an_end() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "pub use crate::b::X; pub use crate::b::*;"),
        ("src/b.rs", "pub use crate::a::X; pub use crate::a::*; fn f() { Y::new() }"),
    ];
    assert!(circles_of(&files).len() <= 1);
}

#[test]
fn the_largest_circle_may_only_fall() {
    let circle =
        |files: &[&str]| files.iter().map(|file| ((*file).to_owned(), Vec::new())).collect::<Circle>();
    let two = circle(&["a.rs", "b.rs"]);
    assert!(judge("x", &two, 0).unwrap().contains("a.rs, b.rs"));
    assert!(judge("x", &two, 3).unwrap().contains("--bless"));
    assert!(judge("x", &circle(&[]), 2).unwrap().contains("--bless"));
    assert!(judge("x", &two, 2).is_none() && judge("x", &circle(&[]), 0).is_none());
}

#[test]
fn crates_are_measured_apart_and_those_without_a_circle_left_out() {
    let mut files = sources(&[
        ("Cargo.toml", ""),
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        ("src/b.rs", "use crate::a::A; pub struct B;"),
    ]);
    files.push(Source { path: "crates/other/Cargo.toml".into(), text: String::new() });
    assert_eq!(largest(&files), BTreeMap::from([("made-up".to_owned(), 2)]));
    let text = describe(&files);
    assert!(text.contains("a.rs names b.rs") && text.contains("other: no circle"), "{text}");
}
