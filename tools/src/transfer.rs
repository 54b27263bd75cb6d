//! How fast records go to a tape drive by each of the kernel's doors, and
//! whether they come back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use longhaul_ffi::buffer::{Buffer, Pool};
use longhaul_mover::drive::{Drive, Read};
use longhaul_mover::transport::{Bsg, Lun, Sg, Sysfs};
use longhaul_scsi::transport::Transport;
use nix::time::{ClockId, clock_gettime};

/// Buffers of the pool: one with the drive, one to fill.
const BUFFERS: usize = 2;

/// By which door commands go.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Door {
    /// SG_IO on /dev/sgN
    Sg,
    /// SG_IO on /dev/nstN
    Nst,
    /// io_uring on /dev/bsg
    Bsg,
}

/// Records written, timed, and read back.
#[derive(Args)]
pub struct Transfer {
    /// A node of the drive
    drive: PathBuf,
    #[arg(long)]
    door: Door,
    /// Bytes of a record
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..=8 << 20))]
    record_bytes: u32,
    /// How many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    records: u32,
    /// Do not read them back: the drive keeps no data
    #[arg(long)]
    write_only: bool,
    /// All that is on the tape in the drive will be lost
    #[arg(long, required = true)]
    overwrite_the_tape: bool,
}

impl Transfer {
    /// Measures, and prints what it found.
    ///
    /// # Errors
    /// The drive's; or a record does not come back as it was.
    pub fn run(self) -> Result<()> {
        ensure!(self.overwrite_the_tape, "nothing was written");
        let mut drive = Drive::open(open(&self.drive, self.door)?)?;
        drive.ready(Duration::from_secs(60))?;
        drive.prepare()?;
        drive.rewind()?;
        let pool = Pool::new(BUFFERS, self.record_bytes as usize)?;
        let (write_s, cpu) = self.write(&mut drive, &pool)?;
        let cpu_us = cpu.as_secs_f64() * 1e6 / f64::from(self.records);
        let mut line = format!(
            "{} write, {cpu_us:.1} us of them this thread's",
            self.figures(write_s)
        );
        if !self.write_only {
            let read_s = self.read(&mut drive, &pool)?;
            line = format!("{line}, {} read and compared", self.figures(read_s));
        }
        println!("{}: {line}", drive.label());
        drive.finish()?;
        Ok(())
    }

    fn figures(&self, seconds: f64) -> String {
        let bytes = f64::from(self.records) * f64::from(self.record_bytes);
        let (rate, each_us) = (
            bytes / 1e6 / seconds,
            seconds * 1e6 / f64::from(self.records),
        );
        format!("{rate:.0} MB/s ({each_us:.0} us a record)")
    }

    /// Seconds that the commands took, and the CPU time of it that this thread
    /// has used: what the kernel copies for it is among that.
    fn write(&self, drive: &mut Drive, pool: &Pool) -> Result<(f64, Duration)> {
        let len = self.record_bytes as usize;
        let (mut elapsed, mut cpu) = (Duration::ZERO, Duration::ZERO);
        for number in 0..self.records {
            let mut buffer = pool.take();
            mark(&mut buffer, number);
            let (begun, used) = (Instant::now(), thread_cpu()?);
            drive.submit_write(buffer, len, None);
            drive.complete_write().0?;
            elapsed += begun.elapsed();
            cpu += thread_cpu()?.saturating_sub(used);
        }
        drive.write_filemarks(1, false)?;
        Ok((elapsed.as_secs_f64(), cpu))
    }

    fn read(&self, drive: &mut Drive, pool: &Pool) -> Result<f64> {
        let len = self.record_bytes as usize;
        drive.rewind()?;
        let mut elapsed = Duration::ZERO;
        for number in 0..self.records {
            let mut expected = pool.take();
            mark(&mut expected, number);
            let begun = Instant::now();
            let (read, buffer) = drive.read(pool.take(), len);
            elapsed += begun.elapsed();
            ensure!(
                read? == Read::Block(len),
                "record {number} has another length"
            );
            ensure!(buffer[..] == expected[..], "record {number} differs");
        }
        let (read, _) = drive.read(pool.take(), len);
        ensure!(read? == Read::Filemark, "no filemark behind the records");
        Ok(elapsed.as_secs_f64())
    }
}

fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn open(node: &Path, door: Door) -> Result<Box<dyn Transport>> {
    let (lun, _) = Sysfs::default()
        .lun_of_node(node)
        .with_context(|| format!("{} is no tape drive", node.display()))?;
    Ok(match door {
        Door::Sg => Box::new(Sg::open(&Lun { nst: None, ..lun })?),
        Door::Nst if lun.nst.is_none() => bail!("there is no /dev/nst node"),
        Door::Nst => Box::new(Sg::open(&lun)?),
        Door::Bsg => Box::new(Bsg::open(&lun)?),
    })
}

/// Fills a record so that no two are alike, nor two pages of one.
fn mark(buffer: &mut Buffer, number: u32) {
    for (page, bytes) in buffer.chunks_mut(4096).enumerate() {
        bytes.fill(number as u8);
        let mark = [number.to_le_bytes(), (page as u32).to_le_bytes()].concat();
        let len = mark.len().min(bytes.len());
        bytes[..len].copy_from_slice(&mark[..len]);
    }
}
