//! What real devices answered (`testdata/`), read by this crate's parsers.
//!
//! A `.hex` file holds bytes, a `.txt` file what somebody else's decoder made
//! of them; lines that begin with `#` say which device, which command, and
//! where it was found. Bytes must parse to what the device is known to be, and
//! come back the same where the types hold all of them; decoded values must
//! fit into the types, and survive the way to bytes and back.

mod capture;

mod cartridge;
mod changer;
mod identity;
mod log;
mod mode;
mod security;
mod sense;
mod tape;
mod timeout;

/// Every capture, and where it is used: none lies about unread.
#[test]
fn every_capture_is_used() {
    let sources = [
        include_str!("cartridge.rs"),
        include_str!("changer.rs"),
        include_str!("identity.rs"),
        include_str!("log.rs"),
        include_str!("mode.rs"),
        include_str!("security.rs"),
        include_str!("sense.rs"),
        include_str!("tape.rs"),
        include_str!("timeout.rs"),
    ];
    let names = capture::names();
    assert_eq!(names.len(), 34);
    for name in names {
        let quoted = format!("\"{name}\"");
        assert!(
            sources.iter().any(|source| source.contains(&quoted)),
            "{name} is used nowhere"
        );
    }
}
