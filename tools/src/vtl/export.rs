//! Tape files as plain files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use longhaul_emulator::medium::{Cartridge, Object};

use super::Failure;

/// A tape file that was written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The plain file.
    pub path: PathBuf,
    /// Blocks that it was made of.
    pub blocks: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Writes each tape file of a cartridge to folder `to`, which is made if there
/// is none: `000`, `001` and so on, the blocks one behind the other. A tape
/// file of no blocks becomes an empty file, so that names stay numbers; what
/// lies behind the last filemark is a tape file if it has blocks.
///
/// # Errors
/// [`Failure::Exists`] before anything is written, if a name is taken;
/// [`Failure::Object`] at the first object that cannot be read, and the tape
/// files before the one it is in stay.
pub fn export(cartridge: &Path, to: &Path) -> Result<Vec<Exported>, Failure> {
    let mut cartridge = Cartridge::open(cartridge)?;
    fs::create_dir_all(to).map_err(target("create", to))?;
    for number in 0..=cartridge.medium().filemarks() {
        let path = file_path(to, number);
        if path.symlink_metadata().is_ok() {
            return Err(Failure::Exists { path });
        }
    }
    let mut done = Vec::new();
    let mut current: Option<Output> = None;
    for object in cartridge.objects() {
        let number = done.len() as u64;
        let object = object.map_err(|source| Failure::Object {
            done: number,
            source,
        })?;
        let mut output = match current.take() {
            Some(output) => output,
            None => Output::create(file_path(to, number))?,
        };
        match object {
            Object::Block(data) => {
                output.write(&data)?;
                current = Some(output);
            }
            Object::Filemark => done.push(output.finish()),
        }
    }
    done.extend(current.map(Output::finish));
    Ok(done)
}

fn file_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:03}"))
}

fn target<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Failure + 'a {
    move |source| match source.kind() {
        ErrorKind::AlreadyExists if action == "create" => Failure::Exists {
            path: path.to_owned(),
        },
        _ => Failure::Target {
            action,
            path: path.to_owned(),
            source,
        },
    }
}

/// A file being written, which goes away if it is not finished.
struct Output {
    file: File,
    finished: bool,
    exported: Exported,
}

impl Output {
    fn create(path: PathBuf) -> Result<Output, Failure> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(target("create", &path))?;
        Ok(Output {
            file,
            finished: false,
            exported: Exported {
                path,
                blocks: 0,
                bytes: 0,
            },
        })
    }

    fn write(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(block)
            .map_err(target("write", &self.exported.path))?;
        self.exported.blocks += 1;
        self.exported.bytes += block.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> Exported {
        self.finished = true;
        self.exported.clone()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.finished {
            // A part of a tape file under its name would be taken for all of it.
            let _ = fs::remove_file(&self.exported.path);
        }
    }
}
