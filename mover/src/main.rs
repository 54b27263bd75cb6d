//! `lh-mover`: backs directories up to tape and restores them.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul_mover::cli::main()
}
