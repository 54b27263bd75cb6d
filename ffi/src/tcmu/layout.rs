//! Where things lie: `linux/target_core_user.h`, in bytes. Numbers are in the
//! machine's own byte order.

/// `struct tcmu_mailbox`.
pub(super) mod mailbox {
    pub(in crate::tcmu) const VERSION: usize = 0;
    pub(in crate::tcmu) const FLAGS: usize = 2;
    pub(in crate::tcmu) const RING_OFFSET: usize = 4;
    pub(in crate::tcmu) const RING_BYTES: usize = 8;
    /// Written by the kernel.
    pub(in crate::tcmu) const HEAD: usize = 12;
    /// Written by us.
    pub(in crate::tcmu) const TAIL: usize = 64;
    /// Up to the last field; the ring begins behind it.
    pub(in crate::tcmu) const BYTES: usize = 68;

    pub(in crate::tcmu) const VERSION_KNOWN: u16 = 2;
    pub(in crate::tcmu) const CAP_READ_LEN: u16 = 1 << 1;
}

/// `struct tcmu_cmd_entry`, where the answer lies over the request, and
/// `struct tcmu_tmr_entry`.
pub(super) mod entry {
    pub(in crate::tcmu) const LENGTH_OP: usize = 0;
    pub(in crate::tcmu) const UFLAGS: usize = 7;

    pub(in crate::tcmu) const IOV_COUNT: usize = 8;
    pub(in crate::tcmu) const IOV_BIDI_COUNT: usize = 12;
    pub(in crate::tcmu) const IOV_DIF_COUNT: usize = 16;
    pub(in crate::tcmu) const CDB_OFFSET: usize = 24;
    pub(in crate::tcmu) const IOV: usize = 48;
    pub(in crate::tcmu) const IOV_BYTES: usize = 16;

    /// The answer: status, bytes that were read, sense data, up to the end.
    pub(in crate::tcmu) const ANSWER: usize = 8;
    pub(in crate::tcmu) const READ_LEN: usize = 12;
    pub(in crate::tcmu) const SENSE: usize = 16;
    pub(in crate::tcmu) const BYTES: usize = 112;

    pub(in crate::tcmu) const TMR_TYPE: usize = 8;

    /// Entries begin at multiples of this.
    pub(in crate::tcmu) const ALIGNMENT: u32 = 8;
    pub(in crate::tcmu) const OP_MASK: u32 = 7;
    pub(in crate::tcmu) const OP_PAD: u32 = 0;
    pub(in crate::tcmu) const OP_COMMAND: u32 = 1;
    pub(in crate::tcmu) const OP_TASK_MANAGEMENT: u32 = 2;

    pub(in crate::tcmu) const UFLAG_UNKNOWN_OP: u8 = 1;
    pub(in crate::tcmu) const UFLAG_READ_LEN: u8 = 2;
}

const _: () = assert!(entry::BYTES - entry::SENSE == super::SENSE_BYTES_MAX);
