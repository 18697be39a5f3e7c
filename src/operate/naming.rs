//! Commands of hints, for whoever named a configuration: without it they would go by another, or find none.

use std::path::Path;

use crate::relay::finding::{Finding, Hint};

/// The finding, with `--config FILE` in each command of its hints that reads the configuration of `loopkdc run`.
pub(super) fn with_config(mut finding: Finding, file: Option<&Path>) -> Finding {
    for hint in &mut finding.hints {
        if let (Hint::Command(words), Some(file)) = (hint, file) {
            name_in(words, &file.to_string_lossy());
        }
    }
    finding
}

fn name_in(words: &mut Vec<String>, file: &str) {
    // It may stand behind sudo.
    let mut after = words.iter().skip_while(|word| *word != "loopkdc").skip(1);
    let reads = after
        .next()
        .is_some_and(|command| ["krb5-conf", "doctor"].contains(&command.as_str()));
    let takes_none = ["--config", "--remove", "--sssd"];
    if reads && !after.any(|word| takes_none.contains(&word.as_str())) {
        words.extend(["--config".to_owned(), file.to_owned()]);
    }
}
