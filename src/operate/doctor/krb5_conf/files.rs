//! Which files are read, and which library gives one of them up.

use super::scene::Scene;
use crate::operate::doctor::line::{Layer, Line};
use crate::operate::krb5_conf::host::FILE;
use crate::operate::krb5_conf::profile::{ProfileError, ProfileErrorKind};
use crate::operate::krb5_conf::{INSTALL, INSTALL_INLINE};

pub(super) fn examine(scene: &Scene) -> Vec<Line> {
    let mut lines: Vec<_> = mistakes(scene).into_iter().chain(missing(scene)).collect();
    lines.extend(scene.named.as_deref().map(named));
    lines.extend(java(scene));
    lines.extend(heimdal(scene));
    lines
}

pub(super) fn warn(what: impl Into<String>, hint: impl Into<String>) -> Line {
    Line::warn(Layer::Krb5Conf, what, hint)
}

pub(super) fn fault(what: impl Into<String>, hint: impl Into<String>) -> Line {
    Line::fault(Layer::Krb5Conf, what, hint)
}

/// MIT's library begins no work with a configuration that has a mistake in it.
fn mistakes(scene: &Scene) -> Vec<Line> {
    let line = |of: &ProfileError| match of.kind {
        ProfileErrorKind::Mistake => fault(
            format!("{of}, and libkrb5 gives the whole configuration up for that"),
            "mend that line: krb5.conf(5) says how it is written",
        ),
        ProfileErrorKind::Include => fault(
            format!("{of}, and libkrb5 gives the whole configuration up for that"),
            "make what is to be included, or take the line out; /etc/krb5.conf.d is made by: loopkdc krb5-conf --install",
        ),
        ProfileErrorKind::Unclosed => warn(
            format!("{of}, and Java and Heimdal give the file up for that"),
            "write the missing }",
        ),
        ProfileErrorKind::Limit => warn(
            format!("{of}, and what libkrb5 finds there is not looked at here"),
            "take out of krb5.conf what nobody needs, or see for yourself what it says there",
        ),
    };
    scene.profile.errors.iter().map(line).collect()
}

fn missing(scene: &Scene) -> Option<Line> {
    if scene.missing.len() < scene.files.len() {
        return None;
    }
    let files: Vec<_> = scene.missing.iter().map(|(_, why)| why.as_str()).collect();
    let hint = match scene.named {
        Some(_) => format!("unset KRB5_CONFIG, and make one: {INSTALL}"),
        None => format!("make one: {INSTALL}"),
    };
    Some(fault(
        format!("libkrb5 has no configuration: {}", files.join("; ")),
        hint,
    ))
}

fn named(list: &str) -> Line {
    let list = list.escape_debug();
    warn(
        format!(
            "KRB5_CONFIG is {list} here: what runs with it reads that and not {FILE}, other programs and Java do not"
        ),
        format!("unless it is wanted, unset KRB5_CONFIG, and have {FILE} say it: {INSTALL}"),
    )
}

/// JDK 9 and later.
fn java(scene: &Scene) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(other) = &scene.java {
        lines.push(warn(
            format!("Java does not read {FILE}: {other}"),
            format!("have that file include {FILE}: write into its first line\n    include {FILE}"),
        ));
    }
    for include in &scene.profile.includes {
        let (place, path) = (&include.place, include.path.escape_debug());
        let word = if include.is_directory {
            "includedir"
        } else {
            "include"
        };
        if include.is_late {
            lines.push(warn(
                format!("{place}: {word} stands behind the first section, and Java gives the whole file up for that"),
                format!("move the line to the top of the file: {word} {path}"),
            ));
        }
        if !include.path.starts_with('/') {
            lines.push(warn(
                format!("{place}: {word} {path} is no absolute path, and Java gives the whole file up for that"),
                format!("write the path from the root: {word} /etc/{path}"),
            ));
        }
    }
    lines
}

fn heimdal(scene: &Scene) -> Option<Line> {
    let include = scene.profile.includes.first()?;
    let library = scene.heimdal.as_ref()?;
    let place = &include.place;
    Some(warn(
        format!(
            "{place}: Heimdal, which is installed here ({library}), takes an include for a mistake, and reads nothing from there on"
        ),
        format!("for Heimdal's programs: {INSTALL_INLINE}, and no include in the file"),
    ))
}
