//! What is said of a panic: where it was, as a line of the log.
//!
//! Not what it says: that may be made of what a client sent, and names no principal only as long as nobody forgets.

use std::panic::{PanicHookInfo, set_hook};

/// Has panics told in the log from now on, within its bounds.
pub(crate) fn tell() {
    set_hook(Box::new(|panic| {
        let at = place(panic);
        tracing::error!(
            at,
            "a fault of this program's own: what it was in ends, and all else goes on"
        );
    }));
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, take_hook};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn it_is_told_where_it_was() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        set_hook(Box::new(move |panic| {
            heard.lock().unwrap().push(place(panic))
        }));
        let _ = catch_unwind(|| panic!("what a client sent"));
        drop(take_hook());
        let told = told.lock().unwrap();
        assert!(
            told.iter().any(|place| place.contains("panics.rs:")),
            "{told:?}"
        );
    }
}
