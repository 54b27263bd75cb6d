//! LOG SENSE (SPC-5 6.9): the bytes around a page's parameters.

use super::Command;
use super::bytes::{be16, padded};
use super::response::{Checked, invalid_cdb};

/// One log parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub code: u16,
    /// FORMAT AND LINKING of the parameter control byte.
    pub control: u8,
    pub value: Vec<u8>,
}

/// A bounded data counter or a binary value.
pub(crate) fn number(code: u16, value: u64, bytes: usize) -> Parameter {
    let wide = value.to_be_bytes();
    Parameter {
        code,
        control: 0x03,
        value: wide[8 - bytes..].to_vec(),
    }
}

pub(crate) fn text<const N: usize>(code: u16, value: &str) -> Parameter {
    Parameter {
        code,
        control: 0x01,
        value: padded::<N>(value).to_vec(),
    }
}

/// All TapeAlert flags, of page 2Eh.
pub(crate) fn alerts(flags: u64) -> Vec<Parameter> {
    (1..=64)
        .map(|flag| number(flag, flags >> (flag - 1) & 1, 1))
        .collect()
}

/// Answers with the page asked for, of those in `pages`. `of` gives a page's
/// parameters, in ascending order; `None` if there is no such page.
pub(crate) fn sense(
    command: &mut Command<'_>,
    pages: &[u8],
    of: impl FnOnce(u8) -> Option<Vec<Parameter>>,
) -> Checked<usize> {
    const SP: u8 = 0x01;
    let page = command.cdb[2] & 0x3f;
    let pointer = be16(&command.cdb[5..]);
    let allocation = usize::from(be16(&command.cdb[7..]));
    if command.cdb[1] & SP != 0 {
        return Err(invalid_cdb(1).into());
    }
    // Cumulative values are what there is; thresholds are all the same.
    if command.cdb[2] >> 6 > 1 {
        return Err(invalid_cdb(2).into());
    }
    if command.cdb[3] != 0 {
        return Err(invalid_cdb(3).into());
    }
    let content = if page == 0 {
        pages.to_vec()
    } else {
        encode(&of(page).ok_or_else(|| invalid_cdb(2))?, pointer)
    };
    let mut reply = vec![page, 0];
    reply.extend((content.len() as u16).to_be_bytes());
    reply.extend(content);
    Ok(command.reply(&reply, allocation))
}

fn encode(parameters: &[Parameter], pointer: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for parameter in parameters
        .iter()
        .filter(|parameter| parameter.code >= pointer)
    {
        bytes.extend(parameter.code.to_be_bytes());
        bytes.push(parameter.control);
        bytes.push(parameter.value.len() as u8);
        bytes.extend(&parameter.value);
    }
    bytes
}
