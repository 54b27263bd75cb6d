//! Authorities, and what they issue.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use longhaul_link::authority::{DAYS, DAYS_MAX};
use longhaul_link::{Authority, Identity, IdentityError, Role};
use tempfile::tempdir;

fn node(name: &str) -> Role {
    Role::Node(name.parse().expect("a name"))
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("a file");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_certificate_says_who_has_it_and_in_which_cluster() {
    let dir = tempdir().expect("a folder");
    let made = Authority::create(&dir.path().join("ca")).expect("made");
    let authority = Authority::open(&dir.path().join("ca")).expect("opened");
    assert_eq!(made.cluster(), authority.cluster());
    for (name, role) in [
        ("c", Role::Coordinator),
        ("n", node("db_1.example.org")),
        ("o", Role::Operator("ann".parse().expect("a name"))),
    ] {
        let out = dir.path().join(name);
        authority.issue(&role, DAYS, &out).expect("issued");
        let identity = Identity::load(&out).expect("loaded");
        assert_eq!(identity.role(), &role);
        assert_eq!(identity.cluster(), authority.cluster());
        let now_ms = std::time::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_millis() as i64;
        let days = (identity.expires().0 - now_ms) as f64 / 86_400_000.0;
        assert!((days - f64::from(DAYS)).abs() < 1.0, "{days}");
    }
}

#[test]
fn keys_are_their_owners_alone_and_are_not_shown() {
    let dir = tempdir().expect("a folder");
    let (ca, out) = (dir.path().join("ca"), dir.path().join("n"));
    let authority = Authority::create(&ca).expect("made");
    authority.issue(&node("n"), 1, &out).expect("issued");
    assert_eq!(mode(&ca.join("ca.key")), 0o600);
    assert_eq!(mode(&out.join("key.pem")), 0o600);
    let identity = Identity::load(&out).expect("loaded");
    assert_eq!(
        format!("{identity:?}"),
        format!("Identity of node n in cluster {}", authority.cluster())
    );
    assert_eq!(
        format!("{authority:?}"),
        format!("Authority of cluster {}", authority.cluster())
    );
    for (path, load) in [
        (
            out.join("key.pem"),
            &(|| Identity::load(&out).err()) as &dyn Fn() -> Option<IdentityError>,
        ),
        (ca.join("ca.key"), &|| Authority::open(&ca).err()),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        let error = load().expect("refused");
        assert!(
            matches!(&error, IdentityError::NoSecret(of) if *of == path),
            "{error}"
        );
    }
}

#[test]
fn nothing_is_overwritten() {
    let dir = tempdir().expect("a folder");
    let (ca, out) = (dir.path().join("ca"), dir.path().join("n"));
    let authority = Authority::create(&ca).expect("made");
    let kept = fs::read(ca.join("ca.key")).expect("a key");
    let again = Authority::create(&ca).expect_err("refused");
    assert!(
        again.to_string().contains("ca.key is there already"),
        "{again}"
    );
    assert_eq!(fs::read(ca.join("ca.key")).expect("a key"), kept);

    authority.issue(&node("n"), 1, &out).expect("issued");
    let kept = fs::read(out.join("key.pem")).expect("a key");
    let again = authority.issue(&node("n"), 1, &out).expect_err("refused");
    assert!(matches!(again, IdentityError::Exists(_)), "{again}");
    assert_eq!(fs::read(out.join("key.pem")).expect("a key"), kept);
}

#[test]
fn a_certificate_does_not_outlive_its_bound() {
    let dir = tempdir().expect("a folder");
    let authority = Authority::create(&dir.path().join("ca")).expect("made");
    for days in [0, DAYS_MAX + 1] {
        let refused = authority.issue(&node("n"), days, &dir.path().join("n"));
        assert!(matches!(refused, Err(IdentityError::Days(_))));
    }
    assert!(!dir.path().join("n").exists());
}

#[test]
fn what_is_wrong_is_said_with_its_file() {
    let dir = tempdir().expect("a folder");
    let (ca, out) = (dir.path().join("ca"), dir.path().join("n"));
    let authority = Authority::create(&ca).expect("made");
    authority.issue(&node("n"), 1, &out).expect("issued");
    let other = dir.path().join("other");
    authority.issue(&node("n"), 1, &other).expect("issued");
    Authority::create(&dir.path().join("ca2")).expect("made");

    let error = Identity::load(&dir.path().join("none")).expect_err("refused");
    assert!(error.to_string().contains("none/cert.pem"), "{error}");
    fs::copy(other.join("key.pem"), out.join("key.pem")).expect("copied");
    let error = Identity::load(&out).expect_err("not its key").to_string();
    assert!(
        error.contains("n/cert.pem: it cannot be used with key.pem"),
        "{error}"
    );
    fs::write(out.join("key.pem"), "garbage").expect("written");
    let error = Identity::load(&out).expect_err("no key").to_string();
    assert!(error.contains("n/key.pem: it holds no key"), "{error}");
    fs::copy(ca.join("ca.pem"), out.join("cert.pem")).expect("copied");
    let error = Identity::load(&out).expect_err("names no role").to_string();
    assert!(
        error.contains("n/cert.pem: no certificate of ours"),
        "{error}"
    );
    fs::write(out.join("cert.pem"), "").expect("written");
    let error = Identity::load(&out).expect_err("empty").to_string();
    assert!(
        error.contains("n/cert.pem: it holds no certificate"),
        "{error}"
    );
    fs::copy(dir.path().join("ca2/ca.key"), ca.join("ca.key")).expect("copied");
    let error = Authority::open(&ca).expect_err("another's key").to_string();
    assert!(
        error.contains("ca/ca.key: it is not the key of ca.pem"),
        "{error}"
    );
}
