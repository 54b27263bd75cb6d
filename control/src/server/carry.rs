//! A journal on its way to a service that goes on with it.

use longhaul_link::outbox::Carrier;
use longhaul_protocol::order::What;
use longhaul_protocol::report::{PART_BYTES_MAX, Part};
use longhaul_protocol::run::Epoch;
use longhaul_protocol::{AttemptId, Order};

use super::store::ReadJournal;
use crate::chain;

/// What is carried: the first so many bytes of the journal `of` one attempt, for
/// another.
#[derive(Debug)]
pub(crate) struct Journal {
    pub epoch: Epoch,
    pub attempt: AttemptId,
    pub of: AttemptId,
    pub bytes: u64,
}

/// Carries a journal piece by piece, as fast as the service takes them. If the
/// connection ends on the way, it is ordered anew on the next one.
pub(crate) async fn carry(journal: Journal, journals: ReadJournal, carrier: Carrier<Order>) {
    let Journal {
        epoch,
        attempt,
        of,
        bytes: total,
    } = journal;
    let mut offset = 0;
    while offset < total {
        let rest = usize::try_from(total - offset).unwrap_or(usize::MAX);
        let (read, file) = (journals.clone(), of.clone());
        // The disk may take its time, and others have something to say meanwhile.
        let read = move || read(&file, offset, rest.min(PART_BYTES_MAX));
        let bytes = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(bytes)) if bytes.is_empty() => {
                log::error!("the journal of {of} ends at {offset}, and {total} bytes were kept");
                return;
            }
            Ok(Ok(bytes)) => bytes,
            Ok(Err(why)) => {
                log::error!(
                    "the journal of {of} cannot be sent for {attempt}: {}",
                    chain(&*why)
                );
                return;
            }
            // The coordinator ends.
            Err(_) => return,
        };
        let next = offset.saturating_add(bytes.len() as u64);
        let what = What::Journal {
            attempt: attempt.clone(),
            part: Part { offset, bytes },
        };
        if carrier.carry(Order { epoch, what }).await.is_err() {
            return;
        }
        offset = next;
    }
}
