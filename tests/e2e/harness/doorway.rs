//! An address that stays while the servers behind it come and go, as behind a load balancer. What comes while there is none waits for
//! the next one, so that no client's patience is measured against how fast a server starts.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// The way to a server; closed when dropped.
pub(crate) struct Doorway {
    pub at: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    server: Option<SocketAddr>,
    /// Both ends of every connection since the last cut.
    open: Vec<TcpStream>,
    /// How often connections were cut.
    cuts: u64,
    holds_requests: bool,
    holds_answers: bool,
    /// Whether there are requests that are held.
    requests_wait: bool,
    closed: bool,
}

impl Doorway {
    /// A way to nowhere yet.
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let passing = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if passing.lock().closed {
                    return;
                }
                let passing = Arc::clone(&passing);
                std::thread::spawn(move || passing.pass(stream));
            }
        });
        Self { at, shared, thread: Some(thread) }
    }

    /// Leads to a server from now on.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.shared.change(|state| state.server = Some(server));
    }

    /// Lets requests through, and no answer any more until the connections are cut.
    pub(crate) fn hold_answers(&self) {
        self.shared.change(|state| state.holds_answers = true);
    }

    /// Holds requests back from now on.
    pub(crate) fn hold_requests(&self) {
        self.shared.change(|state| state.holds_requests = true);
    }

    /// Whether there are requests that are held back.
    pub(crate) fn requests_wait(&self) -> bool {
        self.shared.lock().requests_wait
    }

    /// Lets requests through again.
    pub(crate) fn let_requests_pass(&self) {
        self.shared.change(|state| (state.holds_requests, state.requests_wait) = (false, false));
    }

    /// Cuts all connections, as the death of the server does; those to come wait for the next one.
    pub(crate) fn cut(&self) {
        self.shared.change(|state| {
            state.server = None;
            state.cut();
        });
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.closed = true;
            state.cut();
        });
        // Wakes the listener, which sees that it is closed.
        TcpStream::connect(self.at).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl State {
    fn cut(&mut self) {
        self.cuts += 1;
        self.holds_answers = false;
        for stream in self.open.drain(..) {
            // It may be closed already.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Passes a connection's bytes to the server and back until one of both, or a cut, ends it.
    fn pass(&self, client: TcpStream) {
        let Some((server, cuts)) = self.connect(&client) else { return };
        let is_cut = |state: &State| state.cuts != cuts;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                self.copy(&client, &server, |state| {
                    state.requests_wait |= state.holds_requests;
                    !state.holds_requests || is_cut(state)
                });
            });
            self.copy(&server, &client, |state| !state.holds_answers || is_cut(state));
        });
    }

    /// A connection to the server, once there is one, and the number of cuts before it.
    fn connect(&self, client: &TcpStream) -> Option<(TcpStream, u64)> {
        let mut state = self.lock();
        while !state.closed {
            if let Some(server) = state.server.and_then(|at| TcpStream::connect(at).ok()) {
                state.open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                return Some((server, state.cuts));
            }
            state.server = None;
            state = self.changed.wait(state).unwrap();
        }
        None
    }

    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream, may_pass: impl Fn(&mut State) -> bool) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            drop(self.changed.wait_while(self.lock(), |state| !may_pass(state)).unwrap());
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        from.shutdown(Shutdown::Both).ok();
        to.shutdown(Shutdown::Both).ok();
    }
}
