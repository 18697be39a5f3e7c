//! How much is read, whoever wrote it.

use std::fs::File;

use crate::operate::krb5_conf::Machine;
use crate::operate::krb5_conf::disk::told;
use crate::operate::krb5_conf::profile::{FileSystem, ProfileErrorKind, read};

const NO_MORE: &str = "nothing is read from here on";

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
        faults
            .iter()
            .map(|fault| told(&fault.place, &fault.why))
            .collect(),
        kinds,
        files.1,
    )
}

#[test]
fn files_are_counted_however_they_are_included() {
    let told = "line 1: more than 256 files are included";
    let (said, kinds, opened) = wrong("includedir /d\n[x]\ny = z\n", "");
    assert_eq!(said, [told]);
    assert_eq!(kinds, [ProfileErrorKind::Limit]);
    // The directory counts as one.
    assert_eq!(opened, 255);
    let (said, _, opened) = wrong(&"include /empty\n".repeat(300), "");
    assert_eq!(said, [told.replace("line 1", "line 257")]);
    assert_eq!(opened, 256);
    let directories = "includedir /none\n".repeat(300);
    assert_eq!(wrong(&directories, "").2, 255);
}

#[test]
fn the_text_of_all_files_is_bounded_by_its_octets() {
    let large = "# of no meaning\n".repeat(64 * 1024);
    let (said, kinds, opened) = wrong("includedir /d\n[x]\ny = z\n", &large);
    assert!(
        said[0].ends_with(&format!(
            "takes more than 16 MiB with all before it: {NO_MORE}"
        )),
        "{said:?}"
    );
    assert_eq!(kinds, [ProfileErrorKind::Limit]);
    assert!(opened < 16, "{opened}");
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
        format!("[a]\n{}", "b = {\n".repeat(100_000)),
        format!(
            "[a]\n{}",
            format!("{} = {{\n", "n".repeat(2000)).repeat(400)
        ),
    ] {
        let profile = read("/f", &text, &mut Same(String::new(), 0));
        let octets = |path: &[String]| path.iter().map(|name| 24 + name.len()).sum::<usize>();
        let kept = profile.relations.iter();
        let kept: usize = kept.map(|of| 100 + octets(&of.sections)).sum();
        assert!(kept < 16 * 1024 * 1024, "{kept}");
        let [fault] = profile.errors.as_slice() else {
            panic!("{:?}", profile.errors)
        };
        assert!(fault.why.starts_with("takes more than 16 MiB"), "{fault:?}");
        assert_eq!(fault.kind, ProfileErrorKind::Limit);
    }
    let long: String = (0..500_000)
        .map(|number| format!("[{number}]*\n"))
        .collect();
    let kinds = [ProfileErrorKind::Final, ProfileErrorKind::Limit];
    assert_eq!(wrong(&long, "").1, kinds);
}

#[test]
fn so_many_mistakes_are_told_and_no_more() {
    let told = format!("line 52: more than 50 mistakes: {NO_MORE}");
    let (said, kinds, _) = wrong(&format!("[a]\n{}", "words\n".repeat(100)), "");
    assert_eq!((said.len(), kinds.len()), (51, 51));
    assert_eq!(said[49], "line 51: has no =");
    assert_eq!(said[50], told);
    // Over all files.
    let (said, _, opened) = wrong("includedir /d\n", "[a]\nwords\n");
    assert_eq!((said.len(), opened), (51, 51));
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
