//! The program that is asked, and what becomes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use longhaul_cluster::{ClusterError, CrmMon};
use tempfile::TempDir;

const ANSWER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/captures/half-started-2.1.5.xml"
);

/// A `crm_mon` that does so.
struct Fake {
    dir: TempDir,
    crm_mon: CrmMon,
}

impl Fake {
    fn doing(what: &str) -> Fake {
        let dir = TempDir::new().expect("a folder");
        let (written, path) = (dir.path().join("written"), dir.path().join("crm_mon"));
        fs::write(&written, format!("#!/bin/sh\n{what}\n")).expect("a script");
        fs::set_permissions(&written, fs::Permissions::from_mode(0o755)).expect("its mode");
        // What one test has open for writing, a child of another may have, too, and
        // then nobody can run it. So another process writes it.
        let copied = Command::new("cp").arg(&written).arg(&path).status();
        assert!(copied.expect("cp").success());
        let limit = Duration::from_secs(20);
        Fake {
            dir,
            crm_mon: CrmMon { path, limit },
        }
    }

    fn error(&self) -> ClusterError {
        self.crm_mon.snapshot().expect_err("no snapshot")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).expect("a file")
    }
}

#[test]
fn r15_the_cluster_is_asked_once_with_all_that_is_needed_and_no_environment() {
    let fake = Fake::doing(&format!(
        "dir=${{0%/*}}; echo \"$@\" >>$dir/asked; env >$dir/env; cat {ANSWER}"
    ));
    let snapshot = fake.crm_mon.snapshot();
    assert_eq!(snapshot.expect("understood").runs_on("fs"), Some("n1"));
    assert_eq!(
        fake.file("asked"),
        "--one-shot --output-as=xml --inactive --fence-history=3 \
         --exclude=attributes,bans,failcounts,operations,tickets\n"
    );
    // CIB_file would have it read a file, CIB_shadow a copy, CIB_port another host.
    let has_more = fake.file("env").lines().any(|line| {
        ![
            "LC_ALL=C",
            "PATH=/usr/sbin:",
            "PWD=/",
            "_=",
            "SHLVL=",
            "OLDPWD=",
        ]
        .iter()
        .any(|known| line.starts_with(known))
    });
    assert!(!has_more, "{}", fake.file("env"));
}

#[test]
fn r15_whoever_does_not_answer_in_time_is_ended() {
    for hanging in [
        "exec sleep 600",
        "echo '<pacemaker-result>'; exec sleep 600",
        "exec >&- 2>&-; exec sleep 600",
    ] {
        let mut fake = Fake::doing(&format!("echo $$ >${{0%/*}}/pid; {hanging}"));
        fake.crm_mon.limit = Duration::from_millis(400);
        let begun = Instant::now();
        let error = fake.error();
        assert!(matches!(error, ClusterError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        let pid = fake.file("pid");
        assert!(
            !Path::new("/proc").join(pid.trim()).exists(),
            "{pid} is there"
        );
    }
}

#[test]
fn a_program_whose_child_keeps_its_pipe_is_given_up_in_time() {
    // The sleep ends by itself, soon.
    let mut fake = Fake::doing("sleep 2 &\nexit 0");
    fake.crm_mon.limit = Duration::from_millis(300);
    let begun = Instant::now();
    assert!(matches!(fake.error(), ClusterError::TimedOut { .. }));
    assert!(begun.elapsed() < Duration::from_millis(1900));
}

#[test]
fn r15_each_way_to_fail_is_told_apart() {
    let none = CrmMon {
        path: "/nonexistent/crm_mon".into(),
        ..CrmMon::default()
    };
    let error = none.snapshot().expect_err("nothing there");
    assert!(matches!(error, ClusterError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("/nonexistent/crm_mon"));

    let fake = Fake::doing(
        r#"echo '<pacemaker-result><status code="102" message="Not connected"/></pacemaker-result>'; exit 102"#,
    );
    let error = fake.error();
    assert!(matches!(error, ClusterError::NotRunning { .. }), "{error}");

    let fake = Fake::doing("echo 'crm_mon: Unknown option --exclude' >&2; exit 64");
    let error = fake.error();
    assert!(matches!(error, ClusterError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("64") && error.to_string().contains("Unknown option"));

    let fake = Fake::doing("kill -9 $$");
    assert!(fake.error().to_string().contains("signal"));

    let fake = Fake::doing(&format!("cat {ANSWER}; exit 1"));
    let error = fake.error();
    assert!(matches!(error, ClusterError::Failed { .. }), "{error}");

    let fake = Fake::doing(&format!("head -c 3000 {ANSWER}"));
    let error = fake.error();
    assert!(
        matches!(error, ClusterError::NotUnderstood { .. }),
        "{error}"
    );

    let fake = Fake::doing("");
    fs::set_permissions(&fake.crm_mon.path, fs::Permissions::from_mode(0o644)).expect("mode");
    let error = fake.error();
    assert!(matches!(error, ClusterError::Run { .. }), "{error}");
}

#[test]
fn an_endless_answer_is_read_up_to_its_limit_and_ended() {
    let mut fake = Fake::doing("cat /dev/zero");
    fake.crm_mon.limit = Duration::from_secs(1);
    assert!(matches!(fake.error(), ClusterError::TimedOut { .. }));
    let fake = Fake::doing("head -c 20000000 /dev/zero");
    let error = fake.error();
    assert!(
        matches!(error, ClusterError::NotUnderstood { .. }),
        "{error}"
    );
    // Errors of any length keep nobody waiting.
    let fake = Fake::doing(&format!("head -c 1000000 /dev/zero >&2; cat {ANSWER}"));
    fake.crm_mon.snapshot().expect("an answer");
}
