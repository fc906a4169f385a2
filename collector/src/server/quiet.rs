//! Connections on which nothing happens: what a connection has done so far, and when that was too little.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// How an HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Done {
    /// It has sent all of HTTP/2's preface, or a request.
    begun: bool,
    /// Requests that are not answered.
    in_work: u32,
}

/// Keeps count of what a connection does.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<watch::Sender<Done>>);

impl Activity {
    /// A request has come; it is in work until the guard is dropped.
    pub(super) fn request(&self) -> InWork {
        self.0.send_modify(|done| *done = Done { begun: true, in_work: done.in_work.saturating_add(1) });
        InWork(self.clone())
    }

    fn has_begun(&self) {
        self.0.send_modify(|done| done.begun = true);
    }

    /// Ends when the connection has not begun within `opening`, or then has had no request in work for `idle`; tells whether it
    /// had begun.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(super) async fn falls_silent(&self, opening: Duration, idle: Duration) -> bool {
        let mut changes = self.0.subscribe();
        loop {
            let done = *changes.borrow_and_update();
            let patience = if done.begun { idle } else { opening };
            if done.in_work > 0 {
                // The sender is held here: there is always a next change to wait for.
                changes.changed().await.unwrap_or_default();
            } else if tokio::time::timeout(patience, changes.changed()).await.is_err() {
                return done.begun;
            }
        }
    }
}

/// A request in work.
#[derive(Debug)]
pub(super) struct InWork(Activity);

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.0.send_modify(|done| done.in_work = done.in_work.saturating_sub(1));
    }
}

/// A stream that looks at what is read until it knows whether it is HTTP/2, which has begun once its preface is there: clients may
/// hold such a connection ready long before their first request. One of HTTP/1 begins with a request.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Activity,
    /// Bytes of the preface that have come; `None` when nothing is looked at any more.
    matched: Option<usize>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity, matched: Some(0) }
    }

    fn look(&mut self, read: &[u8]) {
        let Some(matched) = self.matched else { return };
        let wanted = PREFACE.get(matched..).unwrap_or_default();
        let length = wanted.len().min(read.len());
        self.matched = (wanted.get(..length) == read.get(..length)).then(|| matched.saturating_add(length));
        if self.matched == Some(PREFACE.len()) {
            self.matched = None;
            self.activity.has_begun();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.matched.is_some() {
            self.look(buf.filled().get(before..).unwrap_or_default());
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);

    fn watched(bytes: &[u8]) -> (Activity, Watched<&[u8]>) {
        let activity = Activity::default();
        (activity.clone(), Watched::new(bytes, activity))
    }

    /// Scenario: a preface that comes whole and byte by byte with a frame after it, half of one, one with a wrong byte, HTTP/1.
    /// Guarantees: only the whole preface is a beginning; what is read is what was sent.
    #[tokio::test]
    async fn a_whole_preface_is_a_beginning() {
        let whole = [&PREFACE[..], b"\0\0\0\x04\0\0\0\0\0"].concat();
        let mut wrong = whole.clone();
        wrong[20] = b'X';
        for (bytes, begins) in [
            (&whole[..], true),
            (&whole[..24], true),
            (&whole[..23], false),
            (&wrong, false),
            (b"POST / HTTP/1.1\r\n", false),
        ] {
            for step in [1, 7, 1000] {
                let (activity, mut stream) = watched(bytes);
                let (mut read, mut piece) = (Vec::new(), vec![0; step]);
                while let count @ 1.. = stream.read(&mut piece).await.unwrap() {
                    read.extend_from_slice(&piece[..count]);
                }
                assert_eq!((read.as_slice(), activity.0.borrow().begun), (bytes, begins), "{step}");
            }
        }
    }

    /// Scenario: a connection that never begins; one that has begun; one with two requests in work, of which both end in the end.
    /// Guarantees: each has its own patience; none falls silent while a request is in work.
    #[tokio::test]
    async fn silence_is_measured_from_the_last_answer() {
        let short = Duration::from_millis(1);
        assert!(!Activity::default().falls_silent(short, NEVER).await);
        let (activity, mut stream) = watched(PREFACE);
        stream.read_exact(&mut [0; 24]).await.unwrap();
        assert!(activity.falls_silent(NEVER, short).await);
        let activity = Activity::default();
        let (first, second) = (activity.request(), activity.request());
        let watching = activity.clone();
        let silence = tokio::spawn(async move { watching.falls_silent(short, short).await });
        drop(first);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!silence.is_finished());
        drop(second);
        assert!(silence.await.unwrap());
    }
}
