//! The label: what a stranger sees, what we read back, and what we refuse.

use longhaul_format::label::{LABEL_BYTES, LABEL_RECORDS, Label, LabelError, VolumeName};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

fn label() -> Label {
    Label {
        name: "LH0001".parse().unwrap(),
        uuid: "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap(),
        record_bytes: 524_288,
        created: 1_764_024_851,
        media: Some("L9".parse().unwrap()),
    }
}

fn parse(records: &[Vec<u8>]) -> Result<Label, LabelError> {
    Label::parse(records)
}

fn records(label: &Label) -> Vec<Vec<u8>> {
    label
        .records()
        .iter()
        .map(|record| record.to_vec())
        .collect()
}

/// The whole label, as `dd bs=80` shows it.
const SHOWN: &str = "\
VOL1LH0001              LONGHAUL     LONGHAUL                                  4\
UVL1 LONGHAUL FORMAT=1 RECORD=524288 MEDIA=L9 CREATED=2025-11-24T22:54:11Z
UVL2 UUID=67e55044-10b1-426f-9247-bb680e5fe0c8
UVL3 To read this tape on Linux: tape file 0 is this label, 1 is a backup, 2 is
UVL4 its index, 3 the next backup, and so on. To restore, go to a backup (1):
UVL5 mt -f /dev/nst0 rewind; mt -f /dev/nst0 setblk 0; mt -f /dev/nst0 fsf 1
UVL6 and run  LC_ALL=C tar -b 1024 --acls --xattrs --xattrs-include='*' \\
UVL7   --numeric-owner --warning=no-unknown-keyword -xpf /dev/nst0
UVL8 An index: go to file 2;  tar -b 1024 -xf /dev/nst0; zstd -dc index*.zst
UVL9 Backups over several tapes: tar -M, -F SCRIPT that skips the next label.
";

#[test]
fn a_stranger_is_told_what_to_do() {
    let shown = String::from_utf8(records(&label()).concat()).unwrap();
    let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    assert_eq!(lines, SHOWN.lines().collect::<Vec<_>>());
}

#[test]
fn vol1_has_its_fields_where_the_standard_wants_them() {
    let vol1 = &label().records()[0];
    assert_eq!(&vol1[..4], b"VOL1");
    assert_eq!(&vol1[4..10], b"LH0001");
    assert_eq!(vol1[10], b' ', "accessibility: no restriction");
    assert_eq!(&vol1[24..37], b"LONGHAUL     ", "implementation identifier");
    assert_eq!(&vol1[37..51], b"LONGHAUL      ", "owner identifier");
    assert_eq!(vol1[79], b'4', "label standard version");
}

#[test]
fn somebody_elses_data_is_no_label() {
    assert_eq!(parse(&[]), Err(LabelError::NotALabel));
    assert_eq!(parse(&[vec![0; 65_536]]), Err(LabelError::NotALabel));
    assert_eq!(parse(&[b"VOL1".to_vec()]), Err(LabelError::NotALabel));
}

#[test]
fn somebody_elses_label_is_named() {
    let mut theirs = vec![b' '; 80];
    theirs[..10].copy_from_slice(b"VOL1PROD42");
    theirs[24..31].copy_from_slice(b"IBMZLBL");
    theirs[37..41].copy_from_slice(b"ACME");
    let error = parse(&[theirs]).unwrap_err();
    let (volume, implementation, owner) = ("PROD42".into(), "IBMZLBL".into(), "ACME".into());
    assert_eq!(
        error,
        LabelError::OtherVol1 {
            volume,
            implementation,
            owner
        }
    );
    assert!(error.to_string().contains("PROD42"));
}

#[test]
fn every_missing_record_is_a_damaged_label() {
    let whole = records(&label());
    assert_eq!(whole.len(), LABEL_RECORDS);
    for at in 1..LABEL_RECORDS {
        for damage in [Vec::new(), vec![0xFF; LABEL_BYTES], whole[0].clone()] {
            let mut records = whole.clone();
            records[at] = damage;
            assert!(
                matches!(parse(&records), Err(LabelError::Damaged { .. })),
                "UVL{at}"
            );
        }
        assert!(matches!(
            parse(&whole[..at]),
            Err(LabelError::Damaged { .. })
        ));
    }
}

#[test]
fn a_later_format_says_so() {
    let mut records = records(&label());
    records[1] = String::from_utf8(records[1].clone())
        .unwrap()
        .replace("T=1", "T=2")
        .into_bytes();
    assert_eq!(parse(&records), Err(LabelError::Version { found: 2 }));
}

#[test]
fn a_barcode_is_a_name_and_a_media_suffix() {
    let (name, media) = VolumeName::from_barcode("LH0001L9").unwrap();
    assert_eq!((name.as_str(), media.unwrap().as_str()), ("LH0001", "L9"));
    assert_eq!(
        VolumeName::from_barcode("ABC   ").unwrap().0.as_str(),
        "ABC"
    );
    assert_eq!(label().barcode().as_deref(), Some("LH0001L9"));
    for bad in ["", "lh0001L9", "LH0001L", "LH0001L9X", "LH 001L9", "äöüabc"] {
        assert_eq!(VolumeName::from_barcode(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn round_trip(
        name in "[A-Z0-9]{1,6}",
        media in proptest::option::of("[A-Z0-9]{2}"),
        uuid in any::<u128>(),
        blocks in 2u64..=2048,
        created in 0i64..253_402_300_800,
    ) {
        let label = Label {
            name: name.parse().unwrap(),
            uuid: Uuid::from_u128(uuid),
            record_bytes: blocks * 512,
            created,
            media: media.map(|media| media.parse().unwrap()),
        };
        for record in label.records() {
            let text = std::str::from_utf8(&record).unwrap();
            prop_assert!(text.is_ascii() && !text.trim_end().contains('\n'));
        }
        prop_assert_eq!(parse(&records(&label)), Ok(label));
    }

    #[test]
    fn scribbled_labels_are_read_or_refused(
        scribbles in vec((0..LABEL_RECORDS, 0..LABEL_BYTES, any::<u8>()), 1..6),
        cut in 0..=LABEL_BYTES,
    ) {
        let mut records = records(&label());
        for (record, at, byte) in scribbles {
            records[record][at] = byte;
        }
        let _ = parse(&records);
        records[1].truncate(cut);
        let _ = parse(&records);
    }

    #[test]
    fn any_records_are_read_or_refused(records in vec(vec(any::<u8>(), 0..100), 0..12)) {
        let _ = parse(&records);
    }
}
