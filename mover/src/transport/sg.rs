//! SCSI commands by system calls, on every kernel.

use longhaul_ffi::sg::Direction;
use longhaul_scsi::transport::{Completion, Data, Request, Transport};

use super::OpenError;
use super::answer::Answers;
use super::nodes::Nodes;
use super::sysfs::Lun;

/// A path to a device by system calls: `SG_IO` on `/dev/nstN` where there is
/// one, else packets on `/dev/sgN`.
///
/// They send and wait in one, so a command is over when
/// [`submit`](Transport::submit) returns.
pub struct Sg {
    nodes: Nodes,
    answers: Answers,
    done: Option<Completion>,
}

impl Sg {
    /// Opens the path's nodes, which no other process may have.
    ///
    /// # Errors
    /// [`OpenError`] by its kind.
    pub fn open(lun: &Lun) -> Result<Sg, OpenError> {
        Nodes::open(lun).map(Sg::on)
    }

    pub(super) fn on(nodes: Nodes) -> Sg {
        Sg {
            nodes,
            answers: Answers::default(),
            done: None,
        }
    }
}

impl Transport for Sg {
    fn submit(&mut self, request: Request) {
        assert!(self.done.is_none(), "a command is in flight already");
        let Request {
            cdb,
            mut data,
            timeout,
        } = request;
        let asked = data.len();
        let (direction, bytes): (Direction, &mut [u8]) = match &mut data {
            // Without bytes there is no data phase, whatever the command.
            Data::None | Data::In { len: 0, .. } | Data::Out { len: 0, .. } => {
                (Direction::None, &mut [])
            }
            Data::In { buffer, len } => (Direction::In, &mut buffer[..*len]),
            Data::Out { buffer, len } => (Direction::Out, &mut buffer[..*len]),
        };
        let answer = self
            .nodes
            .execute(cdb.as_bytes(), direction, bytes, timeout);
        let outcome = self.answers.outcome(asked, answer);
        self.done = Some(Completion { outcome, data });
    }

    fn complete(&mut self) -> Completion {
        self.done.take().expect("a command is in flight")
    }

    fn name(&self) -> String {
        self.nodes.name()
    }
}
