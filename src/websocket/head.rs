//! The head of a frame: its bits, as they stand there. What is allowed is the reader's matter.

use bytes::{Buf, Bytes};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub fin: bool,
    pub reserved: bool,
    /// `None`: one that RFC 6455 does not know.
    pub opcode: Option<Opcode>,
    pub masked: bool,
    /// All zero in a frame without one.
    pub mask: [u8; 4],
    pub length: u64,
}

/// The longest head: two bytes, eight of length, four of mask.
const BYTES_MAX: usize = 14;

/// Collects the bytes of one head, which may come one by one.
#[derive(Debug, Default)]
pub struct HeadReader {
    bytes: [u8; BYTES_MAX],
    filled: usize,
}

impl HeadReader {
    /// Takes what it needs off the front of `input`; `None` when that was too little.
    pub fn read(&mut self, input: &mut Bytes) -> Option<Head> {
        loop {
            // Known in full once two bytes are here, so that it is reached only then.
            let needed = self.needed();
            if self.filled == needed {
                let head = self.parse();
                self.filled = 0;
                return Some(head);
            }
            let taken = (needed - self.filled).min(input.len());
            if taken == 0 {
                return None;
            }
            input.copy_to_slice(&mut self.bytes[self.filled..self.filled + taken]);
            self.filled += taken;
        }
    }

    /// How long the head is, as far as can be told.
    fn needed(&self) -> usize {
        if self.filled < 2 {
            return 2;
        }
        let mask = if self.bytes[1] & 0x80 != 0 { 4 } else { 0 };
        2 + self.length_bytes() + mask
    }

    fn length_bytes(&self) -> usize {
        match self.bytes[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn parse(&self) -> Head {
        let [first, second, ..] = self.bytes;
        let length_end = 2 + self.length_bytes();
        let length = match &self.bytes[2..length_end] {
            [] => (second & 0x7f).into(),
            bytes => bytes.iter().fold(0, |length: u64, byte| length << 8 | u64::from(*byte)),
        };
        let masked = second & 0x80 != 0;
        let mut mask = [0; 4];
        if masked {
            mask.copy_from_slice(&self.bytes[length_end..length_end + 4]);
        }
        Head {
            fin: first & 0x80 != 0,
            reserved: first & 0x70 != 0,
            opcode: Opcode::of(first & 0x0f),
            masked,
            mask,
            length,
        }
    }
}
