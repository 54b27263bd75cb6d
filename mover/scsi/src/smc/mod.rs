//! SMC-3: medium changers, that is, tape libraries.
//!
//! A library is a row of *elements* with 16-bit addresses: storage elements
//! (slots), import/export elements (mail slots), data transfer elements
//! (drives), and the medium transport element that moves volumes between them.
//! Mode page 1Dh ([`mode::ElementAddressAssignment`]) says which addresses are
//! which, READ ELEMENT STATUS ([`read_element_status`]) what lies where, and
//! MOVE MEDIUM ([`motion`]) changes it.

mod element;
pub mod mode;
pub mod motion;
pub mod opcode;
pub mod read_element_status;
