//! LOG SENSE (SPC-5 6.9). The pages are in `log_pages`.

use super::bytes::be16;
use super::log_pages::{PAGES, Parameter};
use super::response::{Checked, invalid_cdb};
use super::{Command, Drive};

impl Drive {
    pub(super) fn log_sense(&mut self, command: &mut Command<'_>) -> Checked<usize> {
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
            PAGES.to_vec()
        } else {
            let parameters = self.log_page(page, command.nexus);
            encode(&parameters.ok_or_else(|| invalid_cdb(2))?, pointer)
        };
        let mut reply = vec![page, 0];
        reply.extend((content.len() as u16).to_be_bytes());
        reply.extend(content);
        Ok(command.reply(&reply, allocation))
    }
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
