//! A coordinator on loopback, with real connections and real certificates.

mod bed;
mod durable;
mod links;
mod peers;
mod told;
