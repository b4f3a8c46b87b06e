//! The link between two servers, which can be cut: what is sent into it is neither delivered nor refused.
//! Or it is refused.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a quiet connection looks whether it still has to be there.
const TICK: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Switches {
    cut: AtomicBool,
    refused: AtomicBool,
    over: AtomicBool,
}

/// A forwarder on loopback.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    switches: Arc<Switches>,
}

impl Link {
    /// Leads to a port of this machine.
    pub(crate) fn to(port: u16) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let switches = Arc::new(Switches::default());
        let shared = Arc::clone(&switches);
        std::thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok(_) if shared.refused.load(Ordering::Relaxed) => {}
                    Ok((near, _)) => forward(near, port, &shared),
                    Err(_) => std::thread::sleep(TICK),
                }
            }
        });
        Link { address, switches }
    }

    /// From now on nothing passes.
    pub(crate) fn cut(&self) {
        self.switches.cut.store(true, Ordering::Relaxed);
    }

    /// Connections end, and so do new ones.
    pub(crate) fn refuse(&self) {
        self.switches.refused.store(true, Ordering::Relaxed);
    }

    /// New connections pass again; those that lost something end.
    pub(crate) fn mend(&self) {
        self.switches.refused.store(false, Ordering::Relaxed);
        self.switches.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.switches.over.store(true, Ordering::Relaxed);
    }
}

fn forward(near: TcpStream, port: u16, switches: &Arc<Switches>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    for stream in [&near, &far] {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(TICK)).unwrap();
    }
    let ways = [
        (near.try_clone().unwrap(), far.try_clone().unwrap()),
        (far, near),
    ];
    for (from, to) in ways {
        let switches = Arc::clone(switches);
        std::thread::spawn(move || copy(from, to, &switches));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, switches: &Switches) {
    let mut buffer = [0; 16 * 1024];
    let mut lost = false;
    let ends = || {
        [&switches.over, &switches.refused]
            .iter()
            .any(|s| s.load(Ordering::Relaxed))
    };
    while !ends() {
        let cut = switches.cut.load(Ordering::Relaxed);
        // A stream with a hole in it is of no use to anybody.
        if lost && !cut {
            break;
        }
        match from.read(&mut buffer) {
            Ok(0) if !cut => break,
            Ok(0) => std::thread::sleep(TICK),
            Ok(_) if cut => lost = true,
            Ok(n) => {
                if to.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
