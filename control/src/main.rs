//! `lh-control`: the primary coordinator, and what sets it up.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use longhaul_control::cli::{self, Operator, Options};
use longhaul_control::database::DatabaseError;
use longhaul_control::server::{self, Config, ServeError, config};
use longhaul_control::{chain, setup};
use longhaul_link::{Role, authority};
use longhaul_protocol::{ExitStatus, Name};

/// Decides which backup runs where, and remembers what they have reached.
#[derive(Parser)]
#[command(name = "lh-control", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    options: Options,

    /// Say more on standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    /// Make what a new cluster needs: its certificate authority, certificates
    /// of the coordinator and of an operator, and coordinator.toml
    Init {
        /// Enroll this node, too
        #[arg(long)]
        node: Option<Name>,
        /// Drives of that node beside those that its kernel shows: `vtape:` names
        #[arg(long, value_name = "DRIVE", requires = "node")]
        drive: Vec<String>,
        /// Changers of that node, in the same way
        #[arg(long, value_name = "CHANGER", requires = "node")]
        changer: Vec<String>,
        /// Where services and operators reach the coordinator
        #[arg(long, value_name = "IP:PORT", default_value_t = config::LISTEN)]
        listen: SocketAddr,
        #[command(flatten)]
        days: Days,
    },
    /// Issue a certificate of the cluster
    Enroll {
        /// Whose: the node, or the operator
        #[arg(required_unless_present = "role")]
        name: Option<Name>,
        /// The folder for certificate and key
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// What it is to be
        #[arg(long, value_name = "ROLE", default_value = "node")]
        role: Kind,
        #[command(flatten)]
        days: Days,
    },
    /// Be the coordinator, until SIGTERM
    Serve,
    #[command(flatten)]
    Operator(Operator),
}

#[derive(clap::Args)]
struct Days {
    /// Days for which the certificates are valid
    #[arg(long, default_value_t = authority::DAYS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(authority::DAYS_MAX)))]
    days: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// The backup service of a node
    Node,
    /// Somebody who gives commands
    Operator,
    /// The coordinator; it needs no name
    Coordinator,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let is_wrong = error.use_stderr();
            return if is_wrong {
                ExitStatus::Usage
            } else {
                ExitStatus::Done
            }
            .into();
        }
    };
    let level = match cli.verbose {
        0 if matches!(cli.command, Command::Operator(_)) => log::LevelFilter::Warn,
        0 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .init();
    let command = match cli.command {
        Command::Operator(operator) => return cli::operate(&cli.options, operator).into(),
        command => command,
    };
    match run(command, &cli.options.dir()) {
        Ok(()) => ExitStatus::Done.into(),
        Err((status, error)) => {
            let _ = writeln!(std::io::stderr(), "lh-control: {}", chain(&*error));
            status.into()
        }
    }
}

fn run(command: Command, dir: &std::path::Path) -> Result<(), (ExitStatus, Box<dyn Error>)> {
    match command {
        Command::Init {
            node,
            drive,
            changer,
            listen,
            days,
        } => {
            let node = node.map(|name| setup::Node {
                name,
                drives: drive,
                changers: changer,
            });
            let cluster = setup::init(dir, node.as_ref(), listen, days.days)
                .map_err(|error| (ExitStatus::Refused, error.into()))?;
            let _ = writeln!(
                std::io::stdout(),
                "cluster {cluster} is in {}",
                dir.display()
            );
            Ok(())
        }
        Command::Enroll {
            name,
            out,
            role,
            days,
        } => {
            let role = match (role, name) {
                (Kind::Node, Some(name)) => Role::Node(name),
                (Kind::Operator, Some(name)) => Role::Operator(name),
                (Kind::Coordinator, _) => Role::Coordinator,
                (_, None) => return Err((ExitStatus::Usage, "whose certificate? Name it".into())),
            };
            setup::enroll(dir, &role, days.days, &out)
                .map_err(|error| (ExitStatus::Refused, error.into()))
        }
        Command::Serve => {
            let config = Config::load(dir).map_err(|error| (ExitStatus::Usage, error.into()))?;
            server::serve(config).map_err(|error| (status(&error), error.into()))
        }
        Command::Operator(_) => Ok(()),
    }
}

fn status(error: &ServeError) -> ExitStatus {
    match error {
        ServeError::Config(_) | ServeError::Identity(_) | ServeError::NotCoordinator(..) => {
            ExitStatus::Usage
        }
        ServeError::Listen(..) => ExitStatus::Held,
        ServeError::Database(error) => match error {
            DatabaseError::Held { .. } | DatabaseError::Superseded { .. } => ExitStatus::Held,
            // It is left as it is, until a person has looked.
            DatabaseError::Corrupt { .. }
            | DatabaseError::Foreign { .. }
            | DatabaseError::Newer { .. } => ExitStatus::Refused,
            _ => ExitStatus::Unfinished,
        },
        ServeError::Io(_) | ServeError::Store(_) => ExitStatus::Unfinished,
    }
}
