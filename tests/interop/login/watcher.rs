//! What takes the place of systemd's path unit: it tells SSSD whenever `loopkdc run` says that other realms can be reached.

use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

use crate::support::process::PATIENCE;

/// Where `loopkdc run` says it, as `loopkdc krb5-conf --install` has it for machines without systemd.
const FOLDER: &str = "/run/loopkdc";
const NAME: &str = "reachable";
pub(crate) const REACHABLE: &str = "/run/loopkdc/reachable";
/// What SSSD then reads besides.
pub(crate) const KRB5_CONF: &str = "/run/loopkdc-sssd/krb5.conf";

/// Somebody who watches; ends with the test.
pub(crate) struct Watcher(Arc<Looks>);

#[derive(Default)]
struct Looks {
    count: Mutex<usize>,
    news: Condvar,
}

impl Watcher {
    /// From now on.
    pub(crate) fn start(realm: &'static str) -> Watcher {
        fs::create_dir_all(FOLDER).unwrap();
        let watch = inotify::init(CreateFlags::CLOEXEC).unwrap();
        let changes = WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE | WatchFlags::DELETE;
        inotify::add_watch(&watch, FOLDER, changes).unwrap();
        let looks = Arc::<Looks>::default();
        let watcher = Watcher(Arc::clone(&looks));
        thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(watch, &mut buffer);
            loop {
                let event = events.next().unwrap();
                let name = event.file_name().unwrap();
                if name.to_str() == Ok(NAME) {
                    tell(realm);
                    *looks.count.lock().unwrap() += 1;
                    looks.news.notify_all();
                }
            }
        });
        watcher
    }

    /// Waits until SSSD has been told that the realm can be reached, or that it can't.
    #[track_caller]
    pub(crate) fn says(&self, reachable: bool) {
        self.says_within(reachable, PATIENCE);
    }

    /// The same, and no longer than this.
    #[track_caller]
    pub(crate) fn says_within(&self, reachable: bool, limit: Duration) {
        let looks = self.0.count.lock().unwrap();
        let differs = |_: &mut usize| Path::new(KRB5_CONF).exists() != reachable;
        let waited = self.0.news.wait_timeout_while(looks, limit, differs);
        assert!(
            !waited.unwrap().1.timed_out(),
            "not {reachable} in {limit:?}"
        );
    }
}

fn tell(realm: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
    command.args(["krb5-conf", "--sssd", realm]);
    let told = command.output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{said}");
}
