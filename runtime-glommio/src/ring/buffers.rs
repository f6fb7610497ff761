//! Buffers that the kernel receives into, as it needs them: no connection holds one while nothing comes.
//!
//! A table shared with the kernel names the buffers that are free; it takes from the front, we give back at the end
//! (io_uring_register_buf_ring(3)). A buffer that was filled is ours until it is given back.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// Buffers in all. A power of two.
pub(super) const COUNT: u16 = 256;

/// Bytes in each. What is longer comes by direct reads (`Incoming`).
pub(super) const SIZE: usize = 4096;

/// The group that entries name; there is one.
pub(super) const GROUP: u16 = 0;

/// The buffers of a ring.
#[derive(Debug)]
pub(super) struct Buffers {
    /// `COUNT` entries, then the buffers.
    map: NonNull<u8>,
    tail: u16,
    /// Filled and not given back.
    pub(super) lent: u16,
}

const TABLE: usize = COUNT as usize * size_of::<BufRingEntry>();
const LENGTH: usize = TABLE + COUNT as usize * SIZE;

#[expect(unsafe_code, reason = "memory that is shared with the kernel")]
impl Buffers {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a new mapping of its own; the address is the system's choice.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                LENGTH,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let map = NonNull::new(map.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut buffers = Self {
            map,
            tail: 0,
            lent: COUNT,
        };
        for id in 0..COUNT {
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// Address of the table, its entries, and the group, as they are registered.
    pub(super) fn table(&mut self) -> (u64, u16, u16) {
        (self.map.as_ptr() as u64, COUNT, GROUP)
    }

    /// The first `len` bytes of a buffer that the kernel has filled.
    pub(super) fn filled(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < COUNT && len <= SIZE, "buffer {id} has no {len} bytes");
        // SAFETY: inside the mapping, which was zeroed when it was made. The kernel does not write to a buffer that is
        // not in the table, and giving it back takes `&mut self`.
        unsafe {
            let start = self.map.add(TABLE + usize::from(id) * SIZE);
            std::slice::from_raw_parts(start.as_ptr(), len)
        }
    }

    /// The kernel has filled a buffer.
    pub(super) fn on_filled(&mut self) {
        self.lent += 1;
    }

    /// Whether the kernel has no buffer left.
    pub(super) fn is_empty(&self) -> bool {
        self.lent == COUNT
    }

    /// Lets the kernel fill a buffer again.
    pub(super) fn give_back(&mut self, id: u16) {
        assert!(id < COUNT && self.lent > 0, "buffer {id} was not lent");
        self.lent -= 1;
        let entries = self.map.cast::<BufRingEntry>();
        let place = usize::from(self.tail % COUNT);
        // SAFETY: `place` and `id` are below COUNT, so both addresses are inside the mapping. The kernel does not read
        // an entry before the tail has passed it. The tail lies in the first entry (where the kernel reads no other
        // field of it), is aligned, and is only ever read and written as an atomic.
        unsafe {
            let entry = entries.add(place).as_mut();
            entry.set_addr(self.map.add(TABLE + usize::from(id) * SIZE).as_ptr() as u64);
            entry.set_len(SIZE as u32);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

#[expect(unsafe_code, reason = "memory that is shared with the kernel")]
impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length and is not used after this. The ring that fills it has
        // been dropped; what the kernel still does with its pages keeps them itself.
        unsafe {
            libc::munmap(self.map.as_ptr().cast(), LENGTH);
        }
    }
}
