//! Which files are read, and by whom.

use super::{
    CONFIG, DEFAULTS, DROP_IN, FILE, INCLUDE, STANZA, faults, is_fine, said_of, warns, wrong,
    wrong_with,
};
use crate::relay::finding::{Finding, Severity};

/// All in one file.
fn good() -> String {
    format!("{DEFAULTS}{STANZA}")
}

#[test]
fn no_file() {
    let findings = said_of(&[], CONFIG);
    let (what, hint) = (&findings[0].what, findings[0].advice());
    assert_eq!(findings[0].severity, Severity::Fault);
    assert_eq!(what, "libkrb5 has no configuration: is not there");
    assert_eq!(hint, "make one: loopkdc krb5-conf --install");
}

#[test]
fn a_mistake() {
    faults(
        wrong(&format!("{}x y = z\n", good())),
        "/etc/krb5.conf:11: one word must stand before the =, and libkrb5 gives the whole configuration up for that",
        "mend that line, or make what it is to include: krb5.conf(5) says how it is written",
    );
    faults(
        wrong(&format!("includedir /nowhere\n{}", good())),
        "/etc/krb5.conf:1: includedir /nowhere: is not there, and libkrb5 gives the whole configuration up for that",
        "mend that line, or make what it is to include: krb5.conf(5) says how it is written",
    );
    warns(
        wrong(&format!("{}[x]\ny = {{\n", good())),
        "/etc/krb5.conf:13: a } is missing here, at the end, and Java and Heimdal give the file up for that",
        "write the missing }",
    );
}

#[test]
fn what_libkrb5_passes_by() {
    let all = "libkrb5 passes by all up to a line that begins with a [";
    let before = "take out what stands before it: sed -i --follow-symlinks";
    for (text, what, hint) in [
        (
            format!(" [appdefaults]\n{}", good()),
            format!("/etc/krb5.conf:1: has blanks before the [, and {all}"),
            format!("{before} 's/^[[:space:]]*\\[/[/' /etc/krb5.conf"),
        ),
        (
            format!("\u{feff}[appdefaults]\n{}", good()),
            format!("/etc/krb5.conf:1: begins with a byte order mark, and {all}"),
            format!("{before} 's/^\\xEF\\xBB\\xBF//' /etc/krb5.conf"),
        ),
        (
            format!("{}OTHER.TEST = {{ kdc = 127.0.0.1 }}\n", good()),
            "/etc/krb5.conf:11: has a { and what it is about in one line, and to libkrb5 it is no stanza"
                .to_owned(),
            "write what stands between { and } in krb5.conf into lines of its own".to_owned(),
        ),
    ] {
        warns(wrong(&text), &what, &hint);
    }
    // Its remedy is the first thing to do about what is not found.
    let findings = said_of(&[(FILE, &format!("module /m.so:x\n{}", good()))], CONFIG);
    let advice: Vec<_> = findings.iter().map(Finding::advice).take(2).collect();
    let remedy = "take that line out, or have what it names say whom to ask";
    assert_eq!(advice[0], remedy);
    assert!(
        advice[1].starts_with(&format!("{remedy}; have krb5.conf")),
        "{advice:?}"
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
        "/etc/krb5.conf:257: more than 256 files are included, and what libkrb5 finds there is not looked at here",
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
    let findings = said_of(&[("/b", DEFAULTS), ("$KRB5_CONFIG", "/b")], CONFIG);
    let fault = findings
        .iter()
        .find(|finding| finding.severity == Severity::Fault)
        .unwrap();
    assert_eq!(
        fault.advice(),
        "have krb5.conf send it here: loopkdc krb5-conf --install"
    );
}

#[test]
fn an_include_behind_a_section_to_java() {
    warns(
        wrong_with(
            &[(FILE, &format!("{DEFAULTS}{INCLUDE}")), (DROP_IN, STANZA)],
            CONFIG,
        ),
        "/etc/krb5.conf:4: the include stands behind the first section, and Java gives the whole file up for that",
        "move the line to the top of the file",
    );
}

#[test]
fn an_include_where_heimdal_is() {
    let library = "/usr/lib/x86_64-linux-gnu/libkrb5.so.26.0.0";
    let file = format!("{INCLUDE}{DEFAULTS}");
    warns(
        wrong_with(&[(FILE, &file), (DROP_IN, STANZA), (library, "")], CONFIG),
        "/etc/krb5.conf:1: Heimdal, which is installed here (/usr/lib/x86_64-linux-gnu/libkrb5.so.26.0.0), takes an include for a mistake, and reads nothing from there on",
        "for its programs, with no include in the file: loopkdc krb5-conf --install --inline",
    );
    is_fine(&[(FILE, &good()), (library, "")], CONFIG);
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
        "Java reads /opt/krb5.conf, and not /etc/krb5.conf",
        hint,
    );
    let own = ("/opt/jdk/conf/security/krb5.conf", "");
    let home = [(FILE, &*file), ("$JAVA_HOME", "/opt/jdk"), own];
    warns(
        wrong_with(&home, CONFIG),
        "Java reads /opt/jdk/conf/security/krb5.conf, and not /etc/krb5.conf",
        hint,
    );
    let same = (
        "$JDK_JAVA_OPTIONS",
        "-Djava.security.krb5.conf=/etc/krb5.conf",
    );
    is_fine(&[(FILE, &file), same], CONFIG);
}

#[test]
fn a_part_that_is_final() {
    warns(
        wrong_with(&[(FILE, &format!("[appdefaults]*\n{}", good()))], CONFIG),
        "/etc/krb5.conf:1: a * marks this part as final, and MIT krb5 1.22 and later ignore what other parts say of it",
        "take the * away",
    );
    let stanza = good().replace("EXAMPLE.COM = {", "EXAMPLE.COM* = {");
    let findings = said_of(&[(FILE, &stanza)], CONFIG);
    let marked = |finding: &&Finding| finding.what.starts_with("a * marks this part as final");
    assert_eq!(findings.iter().filter(marked).count(), 1);
}
