use super::*;
use crate::config::gateway::AccessLogTarget;
use crate::gateway::record::tests::record;
use crate::relay::failure::Exit;

fn log(path: &std::path::Path, lines_per_second: u32) -> Result<AccessLog, Failure> {
    AccessLog::open(AccessLogSettings {
        target: AccessLogTarget::File(path.to_owned()),
        lines_per_second,
        principals: false,
    })
}

/// What the log holds at its end, and without the times.
async fn lines(log: &AccessLog, path: &std::path::Path) -> Vec<String> {
    assert!(log.end(Duration::from_secs(20)).await);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let rest = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    text.lines().map(rest).collect()
}

#[test]
fn what_is_no_login_takes_no_lines_from_logins() {
    let now = Instant::now();
    let status = |status| RequestRecord { status, ..record() };
    let no_message = |status| RequestRecord {
        kind: None,
        realm: None,
        status,
        ..record()
    };
    let asides = [
        no_message(Some(404)),
        no_message(Some(429)),
        no_message(None),
        status(Some(429)),
        status(Some(400)),
    ];
    for (most, few) in [(1, 1), (20, 2), (100, 10)] {
        let mut seconds = LineQuotas::new(most);
        let mut written = |record: &RequestRecord| {
            (0..200)
                .filter(|_| seconds.quota_for(record).spend(now))
                .count()
        };
        let asides: usize = asides.iter().map(&mut written).sum();
        assert_eq!(asides, few, "{most}");
        let answered = written(&status(Some(200)));
        assert_eq!(answered, most as usize);
        assert_eq!(written(&status(None)), 0, "one that hung up has tried it");
    }
}

#[tokio::test]
async fn each_line_is_written_or_told_as_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = log(&path, 2).unwrap();
    for _ in 0..100 {
        log.write(&record());
    }
    let lines = lines(&log, &path).await;
    let told = lines
        .iter()
        .filter_map(|line| line.strip_prefix("left-out="));
    let told: Vec<u64> = told.map(|lines| lines.parse().unwrap()).collect();
    assert_eq!(told.iter().sum::<u64>(), log.left_out());
    let written = lines.len() - told.len();
    assert_eq!(written as u64 + log.left_out(), 100);
    assert!((2..100).contains(&written), "{written}");
}

#[tokio::test]
async fn what_was_left_out_is_told_before_the_next_line_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = log(&path, 1000).unwrap();
    log.write(&record());
    written(&path, " ms=").await;
    log.left_out.add();
    log.left_out.add();
    log.write(&record());
    written(&path, " left-out=2\n").await;
    log.left_out.add();
    let lines = lines(&log, &path).await;
    assert_eq!(lines.len(), 4);
    assert_eq!((&*lines[1], &*lines[3]), ("left-out=2", "left-out=1"));
}

#[tokio::test]
async fn what_was_left_out_is_told_though_nothing_follows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = log(&path, 1000).unwrap();
    log.left_out.add();
    written(&path, " left-out=1\n").await;
    assert_eq!(lines(&log, &path).await, ["left-out=1"]);
}

/// Waits until `text` stands in the file.
async fn written(path: &std::path::Path, text: &str) {
    let mut again = tokio::time::interval(Duration::from_millis(5));
    let written = async {
        while !std::fs::read_to_string(path).unwrap().contains(text) {
            again.tick().await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(20), written);
    written.await.expect(text);
}

#[tokio::test]
async fn a_disk_that_is_full_leaves_all_out_and_ends_nothing() {
    let log = log(std::path::Path::new("/dev/full"), 1000).unwrap();
    for _ in 0..10 {
        log.write(&record());
    }
    assert!(log.end(Duration::from_secs(20)).await);
    assert_eq!(log.left_out(), 10);
}

#[tokio::test]
async fn a_log_that_is_over_leaves_all_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = log(&path, 1000).unwrap();
    assert_eq!(lines(&log, &path).await, [""; 0]);
    log.write(&record());
    assert_eq!(log.left_out(), 1);
}

#[tokio::test]
async fn a_file_is_appended_to_and_read_by_few() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for written in 1..3 {
        let log = log(&path, 1000).unwrap();
        log.write(&record());
        assert_eq!(lines(&log, &path).await.len(), written);
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    // A umask may take more away.
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &std::path::Path| log(path, 1).unwrap_err();
    let nowhere = folder.path().join("nowhere/access.log");
    let failure = refused(&nowhere);
    assert_eq!(failure.exit(), Exit::Config);
    let text = failure.to_string();
    assert!(
        text.contains(&format!("access log {}: ", nowhere.display())),
        "{text}"
    );
    assert!(
        text.contains("hint: or choose another file for access-log"),
        "{text}"
    );
}

#[tokio::test]
async fn a_log_whose_last_copy_is_gone_ends() {
    let folder = tempfile::tempdir().unwrap();
    let target = AccessLogTarget::File(folder.path().join("access.log"));
    let writer = Writer::open(target, Arc::default()).unwrap();
    let (messages, received) = mpsc::channel(1);
    let ended = tokio::task::spawn_blocking(move || writer.run(received));
    drop(messages);
    timeout(Duration::from_secs(20), ended)
        .await
        .unwrap()
        .unwrap();
}
