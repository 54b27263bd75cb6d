//! A network between two programs that is not what it should be.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;

/// As much is passed on at a time, in bytes.
const CHUNK: usize = 16 << 10;
/// Between two looks at whether anything is there, or is to be otherwise.
const PAUSE: Duration = Duration::from_millis(5);

/// What a network does to what it carries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Everything takes so much longer, each way.
    pub delay: Duration,
    /// Nothing comes through, and nobody is told; it comes later.
    pub is_black: bool,
    /// A bit is flipped in so many pieces, from now on, in whichever direction
    /// they go.
    pub corrupt: u32,
    /// Connections that were made under another number are cut.
    pub generation: u64,
    /// No more connections are made, and those there are are cut.
    is_over: bool,
}

/// A TCP proxy on a thread of its own; it ends with the value.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    weather: Arc<Mutex<Weather>>,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy at an address for what is at another one.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn start(address: SocketAddr, to: SocketAddr) -> Result<Proxy> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let weather = Arc::new(Mutex::new(Weather::default()));
        let seen = weather.clone();
        Ok(Proxy {
            address,
            weather,
            listener: Some(thread::spawn(move || listen(&listener, to, &seen))),
        })
    }

    /// Changes what it does.
    pub fn set(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut look(&self.weather));
    }

    /// Cuts all connections; new ones can be made.
    pub fn cut(&self) {
        self.set(|weather| weather.generation += 1);
    }

    /// Pieces that are still to be corrupted.
    pub fn to_corrupt(&self) -> u32 {
        look(&self.weather).corrupt
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(|weather| weather.is_over = true);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn look(weather: &Mutex<Weather>) -> MutexGuard<'_, Weather> {
    weather.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(listener: &TcpListener, to: SocketAddr, weather: &Arc<Mutex<Weather>>) {
    let mut pumps = Vec::new();
    while !look(weather).is_over {
        match listener.accept() {
            // What cannot be connected is cut.
            Ok((from, _)) => pumps.extend(connect(from, to, weather).into_iter().flatten()),
            Err(_) => thread::sleep(PAUSE),
        }
    }
    for pump in pumps {
        let _ = pump.join();
    }
}

/// Passes on what comes, both ways.
fn connect(
    from: TcpStream,
    to: SocketAddr,
    weather: &Arc<Mutex<Weather>>,
) -> std::io::Result<[JoinHandle<()>; 2]> {
    let to = TcpStream::connect(to)?;
    let generation = look(weather).generation;
    for stream in [&from, &to] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PAUSE))?;
    }
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        let weather = weather.clone();
        thread::spawn(move || {
            // However it ended: it is cut.
            let _ = pass(&mut from, &mut to, &weather, generation);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        })
    };
    let (back_from, back_to) = (to.try_clone()?, from.try_clone()?);
    Ok([pump(from, to), pump(back_from, back_to)])
}

fn pass(
    from: &mut TcpStream,
    to: &mut TcpStream,
    weather: &Mutex<Weather>,
    generation: u64,
) -> std::io::Result<()> {
    let mut bytes = [0; CHUNK];
    loop {
        let now = *look(weather);
        if now.is_over || now.generation != generation {
            return Ok(());
        }
        if now.is_black {
            thread::sleep(PAUSE);
            continue;
        }
        let len = match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        thread::sleep(now.delay);
        let piece = &mut bytes[..len];
        let mut now = look(weather);
        if now.corrupt > 0 {
            now.corrupt -= 1;
            piece[len / 2] ^= 0x10;
        }
        drop(now);
        to.write_all(piece)?;
    }
}
