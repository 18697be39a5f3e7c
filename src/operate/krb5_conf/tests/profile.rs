//! The syntax of krb5.conf.

use crate::operate::krb5_conf::disk::{Disk, told};
use crate::operate::krb5_conf::profile::{Profile, read};

/// Relations as `section/section/name=value`, and mistakes behind them.
pub(super) fn shown(text: &str, disk: &[(&str, &str)]) -> Vec<String> {
    let Profile {
        relations, errors, ..
    } = read("/etc/krb5.conf", text, &mut Disk::with(disk));
    let relations = relations.iter().map(|relation| {
        let sections = relation.sections.join("/");
        format!("{sections}/{}={}", relation.name, relation.value)
    });
    let errors = errors.iter().map(|error| told(&error.place, &error.why));
    relations.chain(errors).collect()
}

#[track_caller]
fn reads(text: &str, expected: &[&str]) {
    assert_eq!(shown(text, &[]), expected, "{text}");
}

#[test]
fn sections_relations_and_comments() {
    reads(
        "kdc = before any section\n[a] \r\n# x = y\n  ; x = y\n\tb = c # d \t\r\n\nb =e=f\nb={\n{ = not a brace alone\n}\n",
        &["a/b=c # d", "a/b=e=f", "a/b/{=not a brace alone"],
    );
}

#[test]
fn quoted_values_end_with_their_quote() {
    reads(
        "[a]\nb = \" c \\\"\\n\\t\\\\d \" e\nb = \"\"\nb = \"open\nb = c \"d\"\n",
        &["a/b= c \"\n\t\\d ", "a/b=", "a/b=open", "a/b=c \"d\""],
    );
}

#[test]
fn braces_nest_and_may_stand_in_the_next_line() {
    reads(
        "[a]\nb = {\nc = {\nd = e\n} rest\n}\nf =\n  { rest\ng = h\n}\ni = { j = k }\n",
        &[
            "a/b/c/d=e",
            "a/f/g=h",
            "a/i={ j = k }",
            "line 11: has a { and what it is about in one line",
        ],
    );
}

#[test]
fn marks_of_what_is_final_are_no_part_of_a_name() {
    reads(
        "[a]*\nb* = c\nd* = {\ne = f\n}*\ng = h\n",
        &[
            "a/b=c",
            "a/d/e=f",
            "a/g=h",
            "line 1: a * marks this part as final",
        ],
    );
}

#[test]
fn mistakes_are_told_and_passed_by() {
    reads(
        "[a\n[b] c\nd\ne f = g\n= h\n}\ni =\nj = k\nl = {\n[m]\nn = o\np = {\n",
        &[
            "b/j=k",
            "m/n=o",
            "line 1: the ] of a section is missing",
            "line 2: nothing may stand behind the name of a section",
            "line 3: has no =",
            "line 4: one word must stand before the =",
            "line 5: one word must stand before the =",
            "line 6: there is no { for this }",
            "line 8: a { is missing here, or a value in the line before",
            "line 10: a section begins before the } of the last one",
            "line 13: a } is missing here, at the end",
        ],
    );
    let long = format!("[a]\nb = {}\nc = d\n", "x".repeat(2043));
    reads(
        &long,
        &[
            "a/c=d",
            "line 2: is longer than 2046 octets, and MIT reads it as several lines",
        ],
    );
}

#[test]
fn what_was_meant_to_begin_a_section_is_told_once() {
    reads(
        "# comment\n\t[a]\nb = c\n [d]\ne = f\n[g]\n [h]\ni = j\n",
        &["h/i=j", "line 2: has blanks before the ["],
    );
    for marked in [
        "[a]\nb = c\n",
        "include /nowhere\n",
        "includedir /nowhere\n",
    ] {
        reads(
            &format!("\u{feff}{marked}[d]\ne = f\n"),
            &["d/e=f", "line 1: begins with a byte order mark"],
        );
    }
    // What would have been passed by all the same.
    reads("\u{feff}# comment\nb = c\n[d]\ne = f\n", &["d/e=f"]);
}

#[test]
fn a_module_takes_the_files_place() {
    reads(
        "module x:y\n[a]\nb = c\n",
        &["line 1: has a module say what libkrb5 is to know"],
    );
    // That of what it has included before, too.
    assert_eq!(
        shown("include /b\nmodule x:y\n", &[("/b", "[a]\nb = c\n")]),
        ["line 2: has a module say what libkrb5 is to know"]
    );
    reads(
        "[a]\nmodule x = y\nmodule = z\n",
        &["a/module=z", "line 2: one word must stand before the ="],
    );
}

#[test]
fn included_files_stand_for_themselves() {
    let disk = [
        ("/d/b", "x = ignored before a section\n[c]\nd = 2\n"),
        ("/d/a.conf", "[c]\nd = 1\ne = {\nf = g\n"),
        ("/d/.hidden.conf", "[c]\nd = 3\n"),
        ("/d/a.conf~", "[c]\nd = 4\n"),
        ("/d/a.rpmsave", "[c]\nd = 5\n"),
    ];
    let text = "include /one\nincludedir /d/\n[a]\nb = {\ninclude /d/b\n include /d/b = a relation\nc = d\n}\n";
    assert_eq!(
        shown(text, &disk),
        [
            "c/d=1",
            "c/e/f=g",
            "c/d=2",
            "c/d=2",
            "a/b/c=d",
            "line 1: include /one: is not there",
            "/d/a.conf, line 5: a } is missing here, at the end",
            "line 6: one word must stand before the =",
        ]
    );
}

#[test]
fn circles_of_includes_end() {
    let disk = [
        ("/a", "include /b\n"),
        ("/b", "include /a\ninclude /etc/krb5.conf\n[x]\ny = z\n"),
    ];
    assert_eq!(
        shown("include /a\n", &disk),
        [
            "x/y=z",
            "/b, line 1: include /a: that file is being read already",
            "/b, line 2: include /etc/krb5.conf: that file is being read already",
        ]
    );
}
