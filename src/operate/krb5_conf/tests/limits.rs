//! How much is read, whoever wrote it.

use std::fs::File;

use super::profile::shown;
use crate::operate::krb5_conf::Machine;
use crate::operate::krb5_conf::profile::{FileSystem, ProfileErrorKind, read};

const TOO_MUCH: &str =
    "takes more than 16 MiB with all that is read before it: nothing is read from here on";

/// Says the same text of every file, and counts how often.
struct Same(String, usize);

impl FileSystem for Same {
    fn text(&mut self, _: &str) -> Result<String, String> {
        self.1 += 1;
        Ok(self.0.clone())
    }

    fn names(&mut self, _: &str) -> Result<Vec<String>, String> {
        Ok((0..1000).map(|number| number.to_string()).collect())
    }
}

/// What is wrong with it all, and of which kind, and how many files were opened besides the first.
fn wrong(first: &str, others: &str) -> (Vec<String>, Vec<ProfileErrorKind>, usize) {
    let mut files = Same(others.to_owned(), 0);
    let faults = read("/etc/krb5.conf", first, &mut files).errors;
    let kinds = faults.iter().map(|fault| fault.kind).collect();
    (
        faults.iter().map(ToString::to_string).collect(),
        kinds,
        files.1,
    )
}

#[test]
fn files_are_counted_however_they_are_included() {
    let told = "line 1: includedir /d: more than 256 files are included";
    let (said, kinds, opened) = wrong("includedir /d\n[x]\ny = z\n", "");
    assert_eq!(said, [told]);
    assert_eq!(kinds, [ProfileErrorKind::Limit]);
    // The directory counts as one.
    assert_eq!(opened, 255);
    let (said, _, opened) = wrong(&"include /empty\n".repeat(300), "");
    assert_eq!(
        said[0],
        "line 257: include /empty: more than 256 files are included"
    );
    assert_eq!(opened, 256);
    let directories = "includedir /none\n".repeat(300);
    let last = "line 257: includedir /none: more than 256 files are included";
    assert!(shown(&directories, &[]).iter().all(|line| line != last));
    assert_eq!(wrong(&directories, "").2, 255);
}

#[test]
fn the_text_of_all_files_is_bounded_by_its_octets() {
    let large = "# of no meaning\n".repeat(64 * 1024);
    let (said, kinds, opened) = wrong("includedir /d\n[x]\ny = z\n", &large);
    assert_eq!(said, [format!("/d/111, line 1: {TOO_MUCH}")]);
    assert_eq!(kinds, [ProfileErrorKind::Limit]);
    assert_eq!(opened, 16);
}

/// Of a short line below long names much is kept, and so it is of many.
#[test]
fn what_is_kept_is_bounded_by_its_octets() {
    let deep = format!("{} = {{\n", "n".repeat(1000)).repeat(4);
    for text in [
        format!("[a]\n{}", "b = c\n".repeat(200_000)),
        format!("[a]\n{deep}{}", "b = c\n".repeat(100_000)),
        format!("[a]\n{deep}{}", "b = {\nc = d\n}\n".repeat(50_000)),
        format!("[a]\n{deep}{}", "b = {\n}\n".repeat(100_000)),
    ] {
        let profile = read("/f", &text, &mut Same(String::new(), 0));
        let octets = |path: &[String]| path.iter().map(|name| 24 + name.len()).sum::<usize>();
        let kept = profile.relations.iter();
        let kept: usize = kept.map(|of| 100 + octets(&of.sections)).sum();
        assert!(kept < 16 * 1024 * 1024, "{kept}");
        let [fault] = profile.errors.as_slice() else {
            panic!("{:?}", profile.errors)
        };
        assert_eq!(
            (fault.why.as_str(), fault.kind),
            (TOO_MUCH, ProfileErrorKind::Limit)
        );
    }
    let long: String = (0..500_000)
        .map(|number| format!("[{number}]*\n"))
        .collect();
    assert_eq!(wrong(&long, "").1, [ProfileErrorKind::Limit]);
}

#[test]
fn sections_are_no_deeper_than_any_use_has() {
    let (said, kinds, _) = wrong(&format!("[a]\n{}", "b = {\n".repeat(100_000)), "");
    assert_eq!(said, ["line 33: opens more than 32 levels of braces"]);
    assert_eq!(kinds, [ProfileErrorKind::Limit]);
    let long = format!("[a]\n{}", format!("{} = {{\n", "n".repeat(2000)).repeat(4));
    let told = "line 4: opens sections whose names have more than 4096 octets together";
    assert_eq!(wrong(&long, "").0, [told]);
}

#[test]
fn so_many_mistakes_are_told_and_no_more() {
    let (said, kinds, _) = wrong(&format!("[a]\n{}", "words\n".repeat(100)), "");
    assert_eq!((said.len(), kinds.len()), (51, 51));
    assert_eq!(said[49], "line 51: has no =");
    assert_eq!(
        said[50],
        "line 52: more than 50 mistakes: the others are not told"
    );
    // Over all files.
    let (said, _, _) = wrong("includedir /d\n", "[a]\nwords\n");
    assert_eq!(said.len(), 51);
    // That no more is read is told all the same.
    let text = format!(
        "[a]\n{}{}",
        "words\n".repeat(100),
        "b = c\n".repeat(200_000)
    );
    let (said, _, _) = wrong(&text, "");
    assert!(said[51].ends_with(TOO_MUCH), "{:?}", said[51]);
}

#[test]
fn a_directory_of_too_many_names_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    for number in 0..32 * 1024 {
        File::create(directory.path().join(number.to_string())).unwrap();
    }
    assert_eq!(Machine.names(path).map(|names| names.len()), Ok(32 * 1024));
    File::create(directory.path().join("one more")).unwrap();
    let told = Err("holds more than 32768 names".to_owned());
    assert_eq!(Machine.names(path), told);
}
