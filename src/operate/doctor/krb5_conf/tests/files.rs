//! Which files are read, and by whom.

use super::{
    CONFIG, DEFAULTS, DROP_IN, FILE, INCLUDE, STANZA, faults, said_of, warns, wrong, wrong_with,
};
use crate::relay::finding::Severity;

/// All in one file.
fn good() -> String {
    format!("{DEFAULTS}{STANZA}")
}

#[test]
fn no_file() {
    let findings = said_of(&[], CONFIG, &[]);
    let (what, hint) = (&findings[0].what, findings[0].advice());
    assert_eq!(findings[0].severity, Severity::Fault);
    assert_eq!(what, "libkrb5 has no configuration: is not there");
    assert_eq!(hint, "make one: loopkdc krb5-conf --install");
}

#[test]
fn a_mistake() {
    faults(
        wrong(&format!("{}x y = z\n", good())),
        "/etc/krb5.conf, line 10: one word must stand before the =, and libkrb5 gives the whole configuration up for that",
        "mend that line: krb5.conf(5) says how it is written",
    );
    faults(
        wrong(&format!("includedir /nowhere\n{}", good())),
        "/etc/krb5.conf, line 1: includedir /nowhere: is not there, and libkrb5 gives the whole configuration up for that",
        "make what is to be included, or take the line out; /etc/krb5.conf.d is made by: loopkdc krb5-conf --install",
    );
    warns(
        wrong(&format!("{}[x]\ny = {{\n", good())),
        "/etc/krb5.conf, line 12: a } is missing here, at the end, and Java and Heimdal give the file up for that",
        "write the missing }",
    );
}

#[test]
fn more_than_is_read_here() {
    let many = "include /empty\n".repeat(257);
    warns(
        wrong_with(
            &[(FILE, &format!("{many}{}", good())), ("/empty", "")],
            CONFIG,
        ),
        "/etc/krb5.conf, line 257: include /empty: more than 256 files are included, and what libkrb5 finds there is not looked at here",
        "take out of krb5.conf what nobody needs, or see for yourself what it says there",
    );
}

#[test]
fn other_files_in_the_environment() {
    let files = [("/a", good()), (FILE, String::new())];
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let with = |list: &'static str| [&files[..], &[("$KRB5_CONFIG", list)]].concat();
    warns(
        wrong_with(&with("/a:/nowhere"), CONFIG),
        "KRB5_CONFIG is /a:/nowhere here: what runs with it reads that and not /etc/krb5.conf, other programs and Java do not",
        "unless it is wanted, unset KRB5_CONFIG, and have /etc/krb5.conf say it: loopkdc krb5-conf --install",
    );
    let findings = said_of(&[("/b", DEFAULTS), ("$KRB5_CONFIG", "/b")], CONFIG, &[]);
    let fault = findings
        .iter()
        .find(|finding| finding.severity == Severity::Fault)
        .unwrap();
    assert_eq!(
        fault.advice(),
        "unset KRB5_CONFIG, and: loopkdc krb5-conf --install"
    );
}

#[test]
fn an_include_behind_a_section_to_java() {
    warns(
        wrong_with(
            &[(FILE, &format!("{DEFAULTS}{INCLUDE}")), (DROP_IN, STANZA)],
            CONFIG,
        ),
        "/etc/krb5.conf, line 4: includedir stands behind the first section, and Java gives the whole file up for that",
        "move the line to the top of the file: includedir /etc/krb5.conf.d",
    );
}

#[test]
fn a_relative_include_to_java() {
    warns(
        wrong_with(
            &[
                (FILE, &format!("include own.conf\n{DEFAULTS}")),
                ("own.conf", STANZA),
            ],
            CONFIG,
        ),
        "/etc/krb5.conf, line 1: include own.conf is no absolute path, and Java gives the whole file up for that",
        "write the path from the root: include /etc/own.conf",
    );
}

#[test]
fn a_file_of_javas_own() {
    let file = good();
    let hint = "have that file include /etc/krb5.conf: write into its first line\n    include /etc/krb5.conf";
    let options = (
        "$JAVA_TOOL_OPTIONS",
        "-Xmx1g -Djava.security.krb5.conf=/opt/krb5.conf",
    );
    warns(
        wrong_with(&[(FILE, &file), options], CONFIG),
        "Java does not read /etc/krb5.conf: JAVA_TOOL_OPTIONS has it read /opt/krb5.conf",
        hint,
    );
    let home = [
        ("$JAVA_HOME", "/opt/jdk"),
        ("/opt/jdk/conf/security/krb5.conf", ""),
    ];
    warns(
        wrong_with(&[(FILE, &file), home[0], home[1]], CONFIG),
        "Java does not read /etc/krb5.conf: it reads /opt/jdk/conf/security/krb5.conf",
        hint,
    );
}

#[test]
fn an_include_where_heimdal_is() {
    let library = "/usr/lib/x86_64-linux-gnu/libkrb5.so.26.0.0";
    let file = format!("{INCLUDE}{DEFAULTS}");
    warns(
        wrong_with(&[(FILE, &file), (DROP_IN, STANZA), (library, "")], CONFIG),
        "/etc/krb5.conf, line 1: Heimdal, which is installed here (/usr/lib/x86_64-linux-gnu/libkrb5.so.26.0.0), takes an include for a mistake, and reads nothing from there on",
        "for Heimdal's programs, with no include in the file: loopkdc krb5-conf --install --inline",
    );
    let findings = said_of(&[(FILE, &good()), (library, "")], CONFIG, &[]);
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Ok),
        "{findings:#?}"
    );
}
