//! What a busy machine adds to the time of anything, measured beside it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long each thread of this test has waited for a processor: those of its daemons, and its own.
pub(crate) struct Waits(HashMap<String, Duration>);

impl Waits {
    /// Until now.
    pub(crate) fn now() -> Waits {
        // The folder shows all processes of the machine; those of the test have a namespace to themselves.
        let namespace = |process: &Path| fs::read_link(process.join("ns/pid")).ok();
        let own = namespace(Path::new("/proc/self"));
        assert!(own.is_some(), "/proc shows the processes");
        let processes = entries(PathBuf::from("/proc"));
        let processes = processes.filter(|process: &PathBuf| namespace(process) == own);
        let threads = processes.flat_map(|process| entries(process.join("task")));
        let waits = threads.filter_map(|thread| {
            let wait = wait(&fs::read_to_string(thread.join("schedstat")).ok()?)?;
            Some((thread.file_name()?.to_str()?.to_owned(), wait))
        });
        Waits(waits.collect())
    }

    /// How long they have waited since then, all together: no less than what the lack of processors has cost, as several may
    /// have waited at once.
    pub(crate) fn since(&self) -> Duration {
        let now = Waits::now().0;
        let more = now.iter().map(|(thread, wait)| {
            let before = self.0.get(thread).copied().unwrap_or_default();
            wait.saturating_sub(before)
        });
        more.sum()
    }
}

fn entries(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    // A process may have ended meanwhile.
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// The second figure, in nanoseconds: how long it was ready to run and did not.
fn wait(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[test]
fn the_kernel_says_how_long_a_thread_has_waited() {
    assert_eq!(wait("120 34 5\n"), Some(Duration::from_nanos(34)));
    let waits = Waits::now();
    assert!(!waits.0.is_empty());
    // More threads than processors, each of which has work: somebody has to wait.
    let threads = std::thread::available_parallelism().unwrap().get() + 2;
    let enough = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        use std::sync::atomic::Ordering;
        for _ in 0..threads {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        while waits.since() < Duration::from_millis(100) {}
        enough.store(true, Ordering::Relaxed);
    });
}
