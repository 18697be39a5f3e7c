//! A part of a file in the repository that tests make: between two marks, and held to what was made.

use std::fs;
use std::path::Path;

/// Where the part stands, and how to write it anew.
pub(crate) struct Marked<'a> {
    /// From the root of the repository.
    pub(crate) file: &'a str,
    /// What stands before it and behind it, once in the file.
    pub(crate) marks: [&'a str; 2],
    /// The variable of the environment that has it written instead of compared.
    pub(crate) write: &'a str,
    /// What to type then.
    pub(crate) command: &'a str,
}

impl Marked<'_> {
    /// Fails the test unless the part is what was `made`.
    #[track_caller]
    pub(crate) fn is(&self, made: &str) {
        self.is_like(made, str::to_owned);
    }

    /// Fails the test unless the part is what was `made`, as far as `seen` shows either.
    #[track_caller]
    pub(crate) fn is_like(&self, made: &str, seen: impl Fn(&str) -> String) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.file);
        let text = fs::read_to_string(&file).unwrap();
        let [before, written, after] = self.parts(&text);
        let Self { write, command, .. } = self;
        if std::env::var_os(write).is_some() {
            fs::write(&file, [before, made, after].concat()).unwrap();
            return;
        }
        assert_eq!(
            seen(written),
            seen(made),
            "to write it into {}: {write}=1 {command}",
            self.file
        );
    }

    /// What stands before the part, marks included, the part, and what stands behind it.
    #[track_caller]
    fn parts<'t>(&self, text: &'t str) -> [&'t str; 3] {
        let [begin, end] = self.marks.map(|mark| {
            let mut places = text.match_indices(mark).map(|(at, _)| at);
            let place = places.next();
            assert_eq!(places.next(), None, "{mark:?} stands twice");
            place.unwrap_or_else(|| panic!("{mark:?} is not in {}", self.file))
        });
        let (before, rest) = text.split_at(begin + self.marks[0].len());
        let (written, after) = rest.split_at(end - before.len());
        [before, written, after]
    }
}

#[test]
fn a_part_is_between_its_marks() {
    let marked = Marked {
        file: "help-desk.md",
        marks: ["<<\n", ">>"],
        write: "WRITE",
        command: "cargo test",
    };
    let text = "before\n<<\nthe part\n>>\nafter\n";
    let parts = ["before\n<<\n", "the part\n", ">>\nafter\n"];
    assert_eq!(marked.parts(text), parts);
    for bad in ["the part\n>>", "<<\nthe part", "<<\n<<\nthe part\n>>"] {
        let taken = std::panic::catch_unwind(|| marked.parts(bad).len());
        assert!(taken.is_err(), "{bad}");
    }
}
