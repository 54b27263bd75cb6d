//! Backups in which something fails: at every command in turn (`every`), and
//! anywhere, of any tree (`any`).

mod any;
mod bed;
mod every;
