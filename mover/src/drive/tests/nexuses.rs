//! Two nodes and one drive.

use super::super::{Key, Problem};
use super::rig::{BLOCK, Rig, block_buffer, expected};

#[test]
fn the_second_node_is_told_who_holds_the_drive() {
    let rig = Rig::new();
    let mut first = rig.session();
    let key = Key::new(7, 1);
    first.reserve(key).expect("free");
    let mut second = rig.open("there");
    let error = second.reserve(Key::new(7, 2)).expect_err("held");
    let held = Problem::Held {
        key,
        kind: 3,
        initiator: Some("here".into()),
    };
    assert_eq!(error.problem(), &held);
    assert_eq!(error.kind().exit_code(), 5);
    assert!(
        error
            .to_string()
            .contains("a Longhaul mover (key 4c48000700000001h)"),
        "{error}"
    );
    first.verify_reservation().expect("still ours");
    first.write(block_buffer(0), BLOCK).0.expect("written");
    first.finish().expect("ended");
    second.reserve(Key::new(7, 2)).expect("free again");
}

#[test]
fn a_node_without_the_reservation_cannot_write_and_is_told_whose_it_is() {
    let rig = Rig::new();
    let mut outsider = rig.session();
    outsider.write(block_buffer(0), BLOCK).0.expect("written");
    outsider.synchronize().expect("synchronised");
    let mut holder = rig.open("there");
    holder.reserve(Key::new(0, 9)).expect("nobody had reserved");
    let error = outsider
        .write(block_buffer(1), BLOCK)
        .0
        .expect_err("fenced");
    assert_eq!(error.kind().exit_code(), 5, "{error}");
    let error = outsider
        .write(block_buffer(2), BLOCK)
        .0
        .expect_err("still fenced");
    assert_eq!(error.kind().exit_code(), 5, "{error}");
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

#[test]
fn a_dead_process_of_the_same_node_leaves_its_reservation_to_the_next() {
    let rig = Rig::new();
    let mut dead = rig.open("here");
    dead.reserve(Key::new(0, 1)).expect("free");
    drop(dead.into_transport());
    let mut next = rig.open("here");
    next.reserve(Key::new(0, 2)).expect("its own nexus");
    let holder = next.holder().expect("asked").expect("held");
    assert_eq!(holder.key, Key::new(0, 2).0);
}

#[test]
fn a_dead_process_of_the_same_node_can_be_taken_over_by_its_key() {
    let rig = Rig::new();
    let mut dead = rig.open("here");
    dead.reserve(Key::new(7, 1)).expect("free");
    drop(dead.into_transport());
    let mut next = rig.open("here");
    let (old, key) = (Key::new(7, 1), Key::new(7, 2));
    next.take_over(old, key).expect("its own nexus");
    let holder = next.holder().expect("asked").expect("held");
    assert_eq!(holder.key, key.0);
}

#[test]
fn a_registration_without_a_reservation_is_inherited_too() {
    let rig = Rig::new();
    let mut dead = rig.open("here");
    dead.reserve(Key::new(0, 1)).expect("free");
    dead.release().expect("released");
    let mut next = rig.open("here");
    next.reserve(Key::new(0, 2)).expect("free");
    next.verify_reservation().expect("ours");
    next.finish().expect("ended");
    assert_eq!(next.holder().expect("asked"), None);
}

#[test]
fn a_power_cycle_takes_the_reservation_and_the_session() {
    let rig = Rig::new();
    let mut drive = rig.open("here");
    drive.reserve(Key::new(0, 1)).expect("free");
    drive.ready(std::time::Duration::ZERO).expect("ready");
    drive.prepare().expect("prepared");
    drive.write(block_buffer(0), BLOCK).0.expect("written");
    rig.emulated().power_cycle();
    let error = drive.write(block_buffer(1), BLOCK).0.expect_err("lost");
    assert!(
        matches!(
            error.problem(),
            Problem::Lost {
                unsynchronised: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind().exit_code(), 6);
    let again = drive
        .write(block_buffer(1), BLOCK)
        .0
        .expect_err("it stays so");
    assert_eq!(again.problem(), error.problem());
    drive.recover_position().expect("asked");
    drive
        .write(block_buffer(1), BLOCK)
        .0
        .expect_err("even at a known position");
    assert_eq!(rig.objects(), expected(&[]));
}
