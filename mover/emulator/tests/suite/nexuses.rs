//! Several initiators at one drive: attentions and reservations.

use longhaul_emulator::Response;
use longhaul_emulator::drive::Nexus;
use longhaul_scsi::status::Status;

use crate::rig::*;

const CONFLICT: Result<Status, longhaul_scsi::transport::TransportError> =
    Ok(Status::ReservationConflict);
const EXCLUSIVE_ACCESS: u8 = 3;

/// Two hosts whose power-on attention is taken.
fn two() -> (Rig, Nexus, Nexus) {
    let mut rig = Rig::new();
    let a = rig.nexus;
    let b = rig.drive.connect("host-b");
    rig.drive.execute(b, &[0; 6], &[], &mut []);
    (rig, a, b)
}

fn reserve_out(rig: &mut Rig, nexus: Nexus, action: u8, kind: u8, key: u64, new: u64) -> Response {
    let mut list = [0; 24];
    list[..8].copy_from_slice(&key.to_be_bytes());
    list[8..16].copy_from_slice(&new.to_be_bytes());
    rig.drive.execute(
        nexus,
        &[0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0],
        &list,
        &mut [],
    )
}

fn reserve_in(rig: &mut Rig, nexus: Nexus, action: u8) -> Vec<u8> {
    let mut into = [0; 512];
    let cdb = [0x5e, action, 0, 0, 0, 0, 0, 2, 0, 0];
    let response = rig.drive.execute(nexus, &cdb, &[], &mut into);
    assert_eq!(response.status, Ok(Status::Good));
    into[..response.transferred].to_vec()
}

fn ready(rig: &mut Rig, nexus: Nexus) -> Response {
    rig.drive.execute(nexus, &[0; 6], &[], &mut [])
}

fn write_by(rig: &mut Rig, nexus: Nexus) -> Response {
    rig.drive.execute(nexus, &write(1), b"x", &mut [])
}

#[test]
fn a_changed_mode_is_told_to_the_others_once() {
    let (mut rig, _, b) = two();
    rig.set_block_length(512);
    rig.good(&[0; 6]);
    assert_eq!(key_code(&sense(ready(&mut rig, b))), (6, 0x2a, 0x01));
    assert_eq!(ready(&mut rig, b).status, Ok(Status::Good));
    rig.set_block_length(512);
    assert_eq!(
        ready(&mut rig, b).status,
        Ok(Status::Good),
        "nothing has changed"
    );
}

#[test]
fn a_new_medium_is_told_to_everybody() {
    let (mut rig, a, b) = two();
    rig.good(&[0x1b, 0, 0, 0, 0, 0]);
    rig.good(&[0x1b, 0, 0, 0, 1, 0]);
    for nexus in [a, b] {
        assert_eq!(key_code(&sense(write_by(&mut rig, nexus))), (6, 0x28, 0x00));
    }
    assert_eq!(
        rig.place(),
        (0, 0),
        "a command met by an attention is not carried out"
    );
}

#[test]
fn exclusive_access_fences_the_other_host() {
    let (mut rig, a, b) = two();
    assert_eq!(
        reserve_out(&mut rig, a, 1, EXCLUSIVE_ACCESS, 10, 0).status,
        CONFLICT
    );
    assert_eq!(
        reserve_out(&mut rig, a, 0, 0, 0, 10).status,
        Ok(Status::Good)
    );
    assert_eq!(
        reserve_out(&mut rig, a, 1, EXCLUSIVE_ACCESS, 10, 0).status,
        Ok(Status::Good)
    );
    assert_eq!(write_by(&mut rig, a).status, Ok(Status::Good));
    let guarded: [&[u8]; 8] = [
        &write(1),
        &read(1, 0),
        &[0x01, 0, 0, 0, 0, 0],
        &[0x10, 0, 0, 0, 0, 0],
        &locate(0),
        &[0x1e, 0, 0, 0, 1, 0],
        &[0x1b, 0, 0, 0, 0, 0],
        &[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for cdb in guarded {
        let response = rig.drive.execute(b, cdb, b"x", &mut [0; 64]);
        assert_eq!(response.status, CONFLICT, "{cdb:02x?}");
        assert_eq!(response.sense, None);
    }
    let open: [&[u8]; 7] = [
        &[0x12, 0, 0, 0, 36, 0],
        &[0x00, 0, 0, 0, 0, 0],
        &[0x03, 0, 0, 0, 18, 0],
        &[0x05, 0, 0, 0, 0, 0],
        &[0x1e, 0, 0, 0, 0, 0],
        &[0x4d, 0, 0x6e, 0, 0, 0, 0, 0, 64, 0],
        &[0x5e, 0, 0, 0, 0, 0, 0, 0, 64, 0],
    ];
    for cdb in open {
        let response = rig.drive.execute(b, cdb, &[], &mut [0; 64]);
        assert_eq!(response.status, Ok(Status::Good), "{cdb:02x?}");
    }
    assert_eq!(rig.place().0, 1, "nothing of the other's was carried out");
}

#[test]
fn a_takeover_by_preempt_and_abort() {
    let (mut rig, a, b) = two();
    reserve_out(&mut rig, a, 0, 0, 0, 10);
    reserve_out(&mut rig, a, 1, EXCLUSIVE_ACCESS, 10, 0);
    rig.good(&[0x1e, 0, 0, 0, 1, 0]);
    assert_eq!(
        reserve_out(&mut rig, b, 6, 0, 0, 20).status,
        Ok(Status::Good)
    );
    let taken = reserve_out(&mut rig, b, 5, EXCLUSIVE_ACCESS, 20, 10);
    assert_eq!(taken.status, Ok(Status::Good));
    let reservation = reserve_in(&mut rig, b, 1);
    assert_eq!(number(&reservation[8..16]), 20);
    assert_eq!(reservation[21], EXCLUSIVE_ACCESS);
    assert_eq!(write_by(&mut rig, b).status, Ok(Status::Good));
    assert_eq!(key_code(&sense(write_by(&mut rig, a))), (6, 0x2a, 0x05));
    assert_eq!(write_by(&mut rig, a).status, CONFLICT);
    let unload = rig.drive.execute(b, &[0x1b, 0, 0, 0, 0, 0], &[], &mut []);
    assert_eq!(
        unload.status,
        Ok(Status::Good),
        "its hold on the door is gone too"
    );
}

#[test]
fn keys_and_full_status() {
    let (mut rig, a, b) = two();
    reserve_out(&mut rig, a, 0, 0, 0, 10);
    reserve_out(&mut rig, b, 0, 0, 0, 20);
    reserve_out(&mut rig, b, 1, EXCLUSIVE_ACCESS, 20, 0);
    let keys = reserve_in(&mut rig, a, 0);
    assert_eq!((number(&keys[..4]), number(&keys[4..8])), (2, 16));
    assert_eq!((number(&keys[8..16]), number(&keys[16..24])), (10, 20));
    let status = reserve_in(&mut rig, a, 3);
    assert_eq!(number(&status[4..8]) as usize, status.len() - 8);
    let first = &status[8..];
    assert_eq!((number(&first[..8]), first[12], first[13]), (10, 0, 0));
    let second = &first[24 + number(&first[20..24]) as usize..];
    assert_eq!(
        (number(&second[..8]), second[12], second[13]),
        (20, 1, EXCLUSIVE_ACCESS)
    );
    assert_eq!(&second[28..34], b"host-b");
    let capabilities = reserve_in(&mut rig, a, 2);
    assert_eq!(capabilities, [0, 8, 0x04, 0x80, 0xea, 0x01, 0, 0]);
}

#[test]
fn clear_tells_the_others() {
    let (mut rig, a, b) = two();
    reserve_out(&mut rig, a, 0, 0, 0, 10);
    reserve_out(&mut rig, b, 0, 0, 0, 20);
    reserve_out(&mut rig, a, 1, EXCLUSIVE_ACCESS, 10, 0);
    assert_eq!(
        reserve_out(&mut rig, b, 3, 0, 20, 0).status,
        Ok(Status::Good)
    );
    assert_eq!(key_code(&sense(ready(&mut rig, a))), (6, 0x2a, 0x03));
    assert_eq!(reserve_in(&mut rig, b, 1).len(), 8);
}

#[test]
fn wrong_parameters_of_reserve_out() {
    let (mut rig, a, _) = two();
    let cut = rig
        .drive
        .execute(a, &[0x5f, 0, 0, 0, 0, 0, 0, 0, 23, 0], &[0; 23], &mut []);
    assert_eq!(key_code(&sense(cut)), (5, 0x1a, 0x00));
    let mut list = [0; 24];
    (list[15], list[20]) = (10, 1);
    let aptpl = rig
        .drive
        .execute(a, &[0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0], &list, &mut []);
    assert_eq!(key_code(&sense(aptpl)), (5, 0x26, 0x00), "APTPL");
    reserve_out(&mut rig, a, 0, 0, 0, 10);
    assert_eq!(
        key_code(&sense(reserve_out(&mut rig, a, 1, 2, 10, 0))),
        (5, 0x24, 0x00),
        "type"
    );
    assert_eq!(
        key_code(&sense(reserve_out(&mut rig, a, 1, 0x13, 10, 0))),
        (5, 0x24, 0x00)
    );
    reserve_out(&mut rig, a, 1, EXCLUSIVE_ACCESS, 10, 0);
    assert_eq!(
        key_code(&sense(reserve_out(&mut rig, a, 2, 1, 10, 0))),
        (5, 0x26, 0x04)
    );
    assert_eq!(
        key_code(&sense(reserve_out(&mut rig, a, 7, 0, 10, 0))),
        (5, 0x24, 0x00)
    );
}

#[test]
fn a_power_cycle_clears_registrations_and_a_bus_reset_does_not() {
    let (mut rig, a, b) = two();
    reserve_out(&mut rig, a, 0, 0, 0, 10);
    reserve_out(&mut rig, a, 1, EXCLUSIVE_ACCESS, 10, 0);
    rig.write_all(&[b"x"]);
    rig.drive.bus_reset();
    assert_eq!(key_code(&sense(ready(&mut rig, a))), (6, 0x29, 0x02));
    assert_eq!(key_code(&sense(ready(&mut rig, b))), (6, 0x29, 0x02));
    assert_eq!(write_by(&mut rig, b).status, CONFLICT);
    assert_eq!(rig.place(), (0, 0), "rewound");
    rig.drive.power_cycle();
    assert_eq!(key_code(&sense(ready(&mut rig, a))), (6, 0x29, 0x00));
    assert_eq!(reserve_in(&mut rig, a, 0).len(), 8, "no keys");
    assert_eq!(
        rig.drive.medium().expect("cartridge").objects(),
        0,
        "the write was lost"
    );
}
