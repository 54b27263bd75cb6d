//! SCSI commands by io_uring on `/dev/bsg`, on kernels that take them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul_ffi::bsg::Queue;
use longhaul_ffi::buffer::Buffer;
use longhaul_ffi::sg::Direction;
use longhaul_scsi::cdb::Command;
use longhaul_scsi::spc::inquiry::{Inquiry, MANDATORY_BYTES};
use longhaul_scsi::transport::{Completion, Data, Request, Transport};

use super::OpenError;
use super::answer::Answers;
use super::nodes::{Nodes, open};
use super::sysfs::Lun;

/// INQUIRY is answered at once, by the target itself.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// A path to a device by io_uring, with `/dev/nstN` and `/dev/sgN` held so that
/// no other process has them.
pub struct Bsg {
    queue: Queue,
    node: PathBuf,
    answers: Answers,
    /// Which way the data of the command in flight moves, and how much.
    in_flight: Option<(Direction, usize)>,
    nodes: Nodes,
}

impl Bsg {
    /// Opens the path's nodes, which no other process may have; commands go by
    /// io_uring and not otherwise.
    ///
    /// # Errors
    /// [`OpenError`] by its kind; [`OpenError::Broken`] if the kernel takes no
    /// commands this way.
    pub fn open(lun: &Lun) -> Result<Bsg, OpenError> {
        let name = lun.name();
        let node = lun.bsg.clone().unwrap_or_default();
        Bsg::on(Nodes::open(lun)?, node).map_err(|(_, why)| {
            OpenError::Broken(format!(
                "{name}: no commands by io_uring ({why}); kernels take them from 7.1 on; \
                 name the drive by another node"
            ))
        })
    }

    /// Opens the node and sends one INQUIRY: which kernels and devices take
    /// commands this way is told by no version number.
    ///
    /// # Errors
    /// Why not, with the nodes, for another way.
    pub(super) fn on(nodes: Nodes, node: PathBuf) -> Result<Bsg, (Nodes, io::Error)> {
        match probed(&nodes, &node) {
            Ok(queue) => Ok(Bsg {
                queue,
                node,
                answers: Answers::default(),
                in_flight: None,
                nodes,
            }),
            Err(error) => Err((nodes, error)),
        }
    }
}

fn probed(nodes: &Nodes, node: &Path) -> io::Result<Queue> {
    if !nodes.has_nst() {
        // /dev/bsg keeps nobody out.
        let why = "the st driver has no node for it, so nothing would keep others from it";
        return Err(io::Error::other(why));
    }
    let mut queue = Queue::new(open(node, 0)?)?;
    let cdb = Inquiry::standard(MANDATORY_BYTES as u16).cdb();
    let buffer = Some(Buffer::zeroed(MANDATORY_BYTES));
    queue.submit(
        cdb.as_bytes(),
        Direction::In,
        buffer,
        MANDATORY_BYTES,
        PROBE_TIMEOUT,
    );
    // What the device says is for others; here it is that it was asked.
    queue.complete().0.map(|_| queue)
}

impl Transport for Bsg {
    fn submit(&mut self, request: Request) {
        assert!(self.in_flight.is_none(), "a command is in flight already");
        let Request { cdb, data, timeout } = request;
        let (direction, len) = match &data {
            Data::None => (Direction::None, 0),
            Data::In { len, .. } => (Direction::In, *len),
            Data::Out { len, .. } => (Direction::Out, *len),
        };
        self.in_flight = Some((direction, len));
        // Without bytes there is no data phase, whatever the command.
        let phase = if len == 0 { Direction::None } else { direction };
        let buffer = data.into_buffer();
        self.queue
            .submit(cdb.as_bytes(), phase, buffer, len, timeout);
    }

    fn complete(&mut self) -> Completion {
        let (direction, len) = self.in_flight.take().expect("a command is in flight");
        let (answer, buffer) = self.queue.complete();
        let outcome = self.answers.outcome(len, answer);
        let data = match (direction, buffer) {
            (Direction::In, Some(buffer)) => Data::In { buffer, len },
            (Direction::Out, Some(buffer)) => Data::Out { buffer, len },
            _ => Data::None,
        };
        Completion { outcome, data }
    }

    fn name(&self) -> String {
        format!("{} ({})", self.nodes.name(), self.node.display())
    }
}
