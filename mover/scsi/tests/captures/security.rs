//! Encryption pages.

use longhaul_scsi::spc::security_protocol::{
    EncryptionCapabilities, EncryptionStatus, KeyAssociatedData, NextBlockEncryption,
};

use crate::capture::bytes;

fn hello() -> KeyAssociatedData {
    KeyAssociatedData {
        kind: 0,
        authenticated: 1,
        value: b"Hello world!".to_vec(),
    }
}

#[test]
fn capabilities_with_two_algorithms() {
    let page = EncryptionCapabilities::parse(&bytes("spin-dec-lto-stenc.hex")).unwrap();
    assert_eq!(
        (page.external_control, page.configuration_prevented),
        (2, 1)
    );
    let [first, second] = page.algorithms[..] else {
        panic!("two algorithms")
    };
    assert_eq!((first.index, first.code), (1, 0x0001_0014));
    assert_eq!((second.index, second.code), (2, 0x0001_0010));
    assert_eq!(
        (first.encrypts, first.decrypts, first.key_bytes),
        (2, 2, 32)
    );
    let limits = (
        first.max_unauthenticated_bytes,
        first.max_authenticated_bytes,
    );
    assert_eq!(limits, (32, 60));
    assert!(!first.fixed_unauthenticated && second.fixed_unauthenticated);
}

#[test]
fn status_with_a_key_and_its_label() {
    let page = EncryptionStatus::parse(&bytes("spin-des-lto-stenc.hex")).unwrap();
    let want = EncryptionStatus {
        nexus_scope: 2,
        key_scope: 2,
        encryption_mode: 2,
        decryption_mode: 2,
        algorithm: 1,
        key_instance: 1,
        parameters_control: 1,
        volume_has_encrypted_blocks: true,
        key_data: vec![hello()],
    };
    assert_eq!(page, want);
}

#[test]
fn the_next_block_can_be_decrypted() {
    let page = NextBlockEncryption::parse(&bytes("spin-nbes-lto-stenc.hex")).unwrap();
    let want = NextBlockEncryption {
        object: 1,
        compression_status: 0,
        encryption_status: 5,
        algorithm: 1,
        key_data: vec![hello()],
    };
    assert_eq!(page, want);
}
