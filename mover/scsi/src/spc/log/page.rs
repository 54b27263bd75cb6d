//! A log page: its frame and its parameters.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{bit, is_set};
use crate::wire::{self, ParseError, Reader, U16};

/// A log parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// PARAMETER CODE
    pub code: u16,
    /// The control byte: DU, TSD, ETC, TMC, FORMAT AND LINKING.
    pub control: u8,
    /// The value.
    pub value: Vec<u8>,
}

/// FORMAT AND LINKING 11b: binary, in a list.
const CONTROL_BINARY_LIST: u8 = 0b11;
/// FORMAT AND LINKING 01b: ASCII, in a list.
const CONTROL_ASCII_LIST: u8 = 0b01;
const VALUE_BYTES_MAX: usize = 255;

impl Parameter {
    /// A number in that many bytes.
    pub fn number<const BYTES: usize>(code: u16, value: u64) -> Parameter {
        let bytes = value.to_be_bytes();
        let value = [
            vec![0; BYTES.saturating_sub(8)],
            bytes[8 - BYTES.min(8)..].to_vec(),
        ]
        .concat();
        Parameter {
            code,
            control: CONTROL_BINARY_LIST,
            value,
        }
    }

    /// Bytes.
    pub fn bytes(code: u16, value: Vec<u8>) -> Parameter {
        Parameter {
            code,
            control: CONTROL_BINARY_LIST,
            value,
        }
    }

    /// Text, padded with spaces to `BYTES`.
    pub fn text<const BYTES: usize>(code: u16, value: &str) -> Parameter {
        let value = wire::padded::<BYTES>(value).to_vec();
        Parameter {
            code,
            control: CONTROL_ASCII_LIST,
            value,
        }
    }

    /// The value as a number; `None` where it is too long, or all bits are
    /// set, which drives send for "unknown".
    pub fn as_number(&self) -> Option<u64> {
        let known = self.value.is_empty() || self.value.iter().any(|&byte| byte != 0xff);
        known.then(|| wire::number(&self.value))?
    }

    /// The value as text, without padding.
    pub fn as_text(&self) -> String {
        wire::text(&self.value)
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct PageHeader {
    page: u8,
    subpage: u8,
    length: U16,
}
const _: () = assert!(size_of::<PageHeader>() == 4);

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct ParameterHeader {
    code: U16,
    control: u8,
    length: u8,
}
const _: () = assert!(size_of::<ParameterHeader>() == 4);

/// A log page of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// PAGE CODE
    pub code: u8,
    /// SUBPAGE CODE; 0 for a page without.
    pub subpage: u8,
    /// The parameters, in the order of the page.
    pub parameters: Vec<Parameter>,
}

impl LogPage {
    /// A page of those parameters.
    pub fn new(code: u8, parameters: Vec<Parameter>) -> LogPage {
        LogPage {
            code,
            subpage: 0,
            parameters,
        }
    }

    /// Reads a page, as far as whole parameters are there: the allocation
    /// length may have cut it.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<LogPage, ParseError> {
        let (code, subpage, body) = frame(bytes)?;
        let mut reader = Reader::new("log parameter", body);
        let mut parameters = Vec::new();
        while let Ok(header) = reader.pull::<ParameterHeader>() {
            let Ok(value) = reader.take(header.length.into()) else {
                break;
            };
            let (code, control) = (header.code.get(), header.control);
            parameters.push(Parameter {
                code,
                control,
                value: value.to_vec(),
            });
        }
        Ok(LogPage {
            code,
            subpage,
            parameters,
        })
    }

    /// The page, if it has that code.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn expect(bytes: &[u8], code: u8) -> Result<LogPage, ParseError> {
        let page = LogPage::parse(bytes)?;
        if page.code == code {
            return Ok(page);
        }
        Err(ParseError::Field {
            what: "log page",
            field: "PAGE CODE",
            value: page.code.into(),
        })
    }

    /// The page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_from(0)
    }

    /// The page's bytes with the parameters from that code on, as PARAMETER
    /// POINTER asks for.
    pub fn encode_from(&self, first: u16) -> Vec<u8> {
        let mut body = Vec::new();
        for parameter in self
            .parameters
            .iter()
            .filter(|parameter| parameter.code >= first)
        {
            let value = &parameter.value[..parameter.value.len().min(VALUE_BYTES_MAX)];
            let header = ParameterHeader {
                code: U16::new(parameter.code),
                control: parameter.control,
                length: value.len() as u8,
            };
            body.extend(header.as_bytes());
            body.extend(value);
        }
        encode_frame(self.code, self.subpage, &body)
    }

    /// The parameter of that code.
    pub fn parameter(&self, code: u16) -> Option<&Parameter> {
        self.parameters
            .iter()
            .find(|parameter| parameter.code == code)
    }

    /// The number in the parameter of that code; `None` where it is absent or
    /// the drive does not know it.
    pub fn number(&self, code: u16) -> Option<u64> {
        self.parameter(code)?.as_number()
    }

    /// The text in the parameter of that code; `None` where it is absent.
    pub fn text(&self, code: u16) -> Option<String> {
        Some(self.parameter(code)?.as_text())
    }
}

/// Page 00h: the codes of the supported pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SupportedPages(pub Vec<u8>);

impl SupportedPages {
    /// PAGE CODE
    pub const CODE: u8 = 0x00;

    /// Reads the page, as far as it is there.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<SupportedPages, ParseError> {
        let (code, _, body) = frame(bytes)?;
        if code != SupportedPages::CODE {
            let (what, field) = ("log page 00h", "PAGE CODE");
            return Err(ParseError::Field {
                what,
                field,
                value: code.into(),
            });
        }
        Ok(SupportedPages(
            body.iter().map(|code| code & 0x3f).collect(),
        ))
    }

    /// The page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode_frame(SupportedPages::CODE, 0, &self.0)
    }
}

fn frame(bytes: &[u8]) -> Result<(u8, u8, &[u8]), ParseError> {
    let mut reader = Reader::new("log page", bytes);
    let header: PageHeader = reader.pull()?;
    let body = reader.take_up_to(header.length.get().into());
    let subpage = if is_set(header.page, 6) {
        header.subpage
    } else {
        0
    };
    Ok((header.page & 0x3f, subpage, body))
}

/// A body is cut at 65,535 bytes, since its length could not say more.
fn encode_frame(code: u8, subpage: u8, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(usize::from(u16::MAX))];
    let page = code & 0x3f | bit(6, subpage != 0);
    let header = PageHeader {
        page,
        subpage,
        length: U16::new(body.len() as u16),
    };
    [header.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_texts_and_what_is_not_known() {
        let page = LogPage::new(
            0x17,
            vec![
                Parameter::number::<4>(1, 107),
                Parameter::number::<4>(2, 0xffff_ffff),
                Parameter::text::<32>(0x40, "MF59TWPPJE"),
            ],
        );
        let page = LogPage::expect(&page.encode(), 0x17).unwrap();
        assert_eq!(
            (page.number(1), page.number(2), page.number(3)),
            (Some(107), None, None)
        );
        assert_eq!(page.text(0x40).unwrap(), "MF59TWPPJE");
        assert!(LogPage::expect(&page.encode(), 0x12).is_err());
        let tail = LogPage::parse(&page.encode_from(2)).unwrap();
        assert_eq!(tail.parameters, page.parameters[1..]);
    }

    #[test]
    fn a_parameter_cut_by_the_allocation_length_is_left_out() {
        let page = LogPage::new(
            2,
            vec![Parameter::number::<4>(0, 1), Parameter::number::<4>(1, 2)],
        );
        let bytes = page.encode();
        let cut = LogPage::parse(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(cut.parameters, page.parameters[..1]);
    }

    prop_compose! {
        fn parameters()(code: u16, control: u8,
                        value in proptest::collection::vec(any::<u8>(), 0..255)) -> Parameter {
            Parameter { code, control, value }
        }
    }

    proptest! {
        #[test]
        fn round_trips(code in 0..0x40u8, subpage: u8,
                       parameters in proptest::collection::vec(parameters(), 0..9),
                       pages in proptest::collection::vec(0..0x40u8, 0..64)) {
            let page = LogPage { code, subpage, parameters };
            prop_assert_eq!(&LogPage::parse(&page.encode()).unwrap(), &page);
            let pages = SupportedPages(pages);
            prop_assert_eq!(&SupportedPages::parse(&pages.encode()).unwrap(), &pages);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(page) = LogPage::parse(&bytes) {
                for parameter in &page.parameters {
                    let _ = (parameter.as_number(), parameter.as_text());
                }
            }
            let _ = SupportedPages::parse(&bytes);
        }
    }
}
