//! Packets of the MySQL client/server protocol, and the pieces that they are made of.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// No packet that the sandbox has a use for is longer.
const LONGEST: usize = 1 << 20;

/// A stream of packets.
pub(super) struct Wire<S> {
    stream: S,
    sequence: u8,
    out: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A wire whose next packet has the number `sequence`.
    pub(super) fn new(stream: S, sequence: u8) -> Wire<S> {
        Wire {
            stream,
            sequence,
            out: Vec::new(),
        }
    }

    /// The stream and the number of the next packet, to begin TLS on it.
    pub(super) fn into_parts(self) -> (S, u8) {
        (self.stream, self.sequence)
    }

    /// The next packet; `None` when the peer has gone.
    pub(super) async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut header = [0u8; 4];
        match self.stream.read_exact(&mut header).await {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
        let length =
            usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
        if length > LONGEST {
            return Err(io::Error::other("the packet is too long for the sandbox"));
        }
        self.sequence = header[3].wrapping_add(1);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        Ok(Some(payload))
    }

    /// Starts the packets of a new command.
    pub(super) fn restart(&mut self) {
        self.sequence = 1;
    }

    /// Queues a packet.
    pub(super) fn queue(&mut self, payload: &[u8]) {
        let length = u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes();
        self.out.extend_from_slice(&length[..3]);
        self.out.push(self.sequence);
        self.out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Sends what is queued.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.stream.write_all(&out).await?;
        self.stream.flush().await
    }

    /// Says good-bye properly.
    pub(super) async fn close(&mut self) {
        // The peer may have gone first.
        let _ = self.stream.shutdown().await;
    }
}

/// Appends an integer of variable length.
pub(super) fn put_length(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=250 => out.push(bytes[0]),
        251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a text with its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_length(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Reads the pieces of a payload; `None` where it ends too early.
pub(super) struct Pieces<'a>(pub(super) &'a [u8]);

impl<'a> Pieces<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn number(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(bytes.iter().rev().fold(0, fold))
    }

    pub(super) fn until_zero(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    pub(super) fn length(&mut self) -> Option<u64> {
        match self.byte()? {
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            small => Some(u64::from(small)),
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.length()?).ok()?;
        self.take(length)
    }
}
