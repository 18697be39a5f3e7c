use std::process::Command;

use super::*;

#[test]
fn what_needs_no_quotes_has_none() {
    for plain in [
        "/etc/loopkdc/config.toml",
        "https://kdcproxy.example.com:8443/",
        "a",
    ] {
        assert_eq!(word(plain), plain);
    }
    assert_eq!(path(Path::new("/tmp/my file")), "'/tmp/my file'");
    assert_eq!(word(""), "''");
}

#[test]
fn a_shell_reads_it_as_the_word_that_it_is() {
    for text in [
        "",
        "a b",
        "it's",
        "''",
        "$(false) `false` $HOME",
        "~",
        "a;b&c|d>e<f",
        "[::1]",
        "*",
        "\\",
        "\"#!{}",
        "ünï",
        "a\nb",
    ] {
        let script = format!("printf %s {}", word(text));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}
