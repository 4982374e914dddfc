//! The way of the lines from the workers to the output, off the path of requests.
//!
//! A worker formats into a buffer of its own and hands it, full or on its tick, to one writer
//! thread through a bounded queue; the writer hands it back empty. Invariants: a worker never
//! waits; what finds the queue full, or fails to be written, is dropped and counted; a failing
//! output harms nothing else; at the end what is queued is written, within the time given for it.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use prometheus::IntCounter;

use super::{
    line::{self, LogFormat},
    metrics::Metrics,
    record::Record,
};

/// A buffer of at least so many bytes is handed to the writer: some 250 lines, so that handing over
/// (a wake-up of the writer at the most) costs each of them little.
const FULL_BUFFER_BYTES: usize = 64 << 10;
/// The most buffers that wait for the writer: 16 MiB of lines.
const QUEUE_BUFFERS: usize = 256;
/// The most empty buffers that wait for their worker; more are freed.
const SPARE_BUFFERS: usize = 8;

/// Lines on their way to the writer.
struct Lines {
    bytes: Vec<u8>,
    count: u64,
    home: SyncSender<Vec<u8>>,
}

enum Message {
    Lines(Lines),
    Finish,
}

/// Makes the logs of the workers; a clone feeds the same writer.
#[derive(Debug, Clone)]
pub struct LogSink {
    format: LogFormat,
    queue: SyncSender<Message>,
    dropped: IntCounter,
}

/// Ends the writer. Whoever drops it unfinished leaves the last lines to chance.
#[derive(Debug)]
#[must_use = "finish() writes what is queued at the end of the process"]
pub struct LogGuard {
    queue: SyncSender<Message>,
    finishing: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl LogSink {
    /// Starts the writer thread. Lines that are lost are counted in `metrics`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        format: LogFormat,
        out: Box<dyn Write + Send>,
        metrics: &Metrics,
    ) -> io::Result<(LogSink, LogGuard)> {
        let (queue, lines) = mpsc::sync_channel(QUEUE_BUFFERS);
        let (end, ended) = mpsc::sync_channel(1);
        let finishing = Arc::new(AtomicBool::new(false));
        let dropped = metrics.log_dropped_lines.clone();
        let writer = Writer {
            lines,
            out,
            torn: false,
            dropped: dropped.clone(),
            finishing: finishing.clone(),
            _end: end,
        };
        thread::Builder::new().name("log".into()).spawn(|| writer.run())?;
        let guard = LogGuard { queue: queue.clone(), finishing, ended };
        Ok((LogSink { format, queue, dropped }, guard))
    }

    /// The log of one worker.
    pub fn access_log(&self) -> AccessLog {
        let (home, spare) = mpsc::sync_channel(SPARE_BUFFERS);
        AccessLog { sink: self.clone(), buffer: Vec::new(), count: 0, home, spare }
    }
}

impl LogGuard {
    /// Has the writer write what is queued, and waits for that at most `within`. Answers whether
    /// all of it was handled in time. Workers flush before; what they flush later is dropped.
    pub fn finish(self, within: Duration) -> bool {
        self.finishing.store(true, SeqCst);
        // A full queue means that the writer is awake and will see the flag.
        let (Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) =
            self.queue.try_send(Message::Finish);
        self.ended.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }
}

/// The log of one worker, used by it alone.
#[derive(Debug)]
pub struct AccessLog {
    sink: LogSink,
    buffer: Vec<u8>,
    count: u64,
    home: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl AccessLog {
    /// Writes the line of one exchange into the worker's buffer.
    #[inline]
    pub fn write(&mut self, record: &Record<'_>) {
        if self.sink.format == LogFormat::Off {
            return;
        }
        line::write(&mut self.buffer, self.sink.format, record);
        self.count += 1;
        if self.buffer.len() >= FULL_BUFFER_BYTES {
            self.flush();
        }
    }

    /// Hands what the buffer holds to the writer; the worker calls this on its tick and at its end.
    pub fn flush(&mut self) {
        if self.count == 0 {
            return;
        }
        let next = self.spare.try_recv().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.buffer, next);
        let count = std::mem::take(&mut self.count);
        let lines = Lines { bytes, count, home: self.home.clone() };
        match self.sink.queue.try_send(Message::Lines(lines)) {
            Ok(()) => {}
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                self.sink.dropped.inc_by(count);
                if let Message::Lines(Lines { mut bytes, .. }) = message {
                    bytes.clear();
                    self.buffer = bytes;
                }
            }
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The thread that owns the output.
struct Writer {
    lines: Receiver<Message>,
    out: Box<dyn Write + Send>,
    /// The last buffer was written in part: the next begins on a line of its own.
    torn: bool,
    dropped: IntCounter,
    finishing: Arc<AtomicBool>,
    /// Gone with the thread: that is how the guard learns of its end.
    _end: SyncSender<()>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(message) = self.lines.recv() {
            self.take(message);
            if self.finishing.load(SeqCst) {
                while let Ok(message) = self.lines.try_recv() {
                    self.take(message);
                }
                break;
            }
        }
    }

    fn take(&mut self, message: Message) {
        let Message::Lines(Lines { mut bytes, count, home }) = message else { return };
        if self.put(&bytes).is_err() {
            self.torn = true;
            self.dropped.inc_by(count);
        }
        bytes.clear();
        match home.try_send(bytes) {
            Ok(()) => {}
            // The worker has spares enough, or is gone: the buffer is freed.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.out.write_all(b"\n")?;
            self.torn = false;
        }
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::telemetry::record::sample;

    const WITHIN: Duration = Duration::from_secs(20);

    /// What was written, for a look from outside.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        fn lines(&self) -> usize {
            self.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output whose reader is gone.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that says when a write has begun and takes nothing until it is let go.
    struct Stuck {
        began: SyncSender<()>,
        go: Receiver<()>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.began.try_send(());
            let _ = self.go.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(format: LogFormat, out: impl Write + Send + 'static) -> (LogSink, LogGuard, Metrics) {
        let metrics = Metrics::new(10).unwrap();
        let (sink, guard) = LogSink::start(format, Box::new(out), &metrics).unwrap();
        (sink, guard, metrics)
    }

    #[test]
    fn all_lines_of_all_workers_are_written_by_the_end() {
        let page = Page::default();
        let (sink, guard, metrics) = start(LogFormat::Logfmt, page.clone());
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut log = sink.access_log();
                    (0..1000).for_each(|_| log.write(&sample::record()));
                });
            }
        });
        assert!(guard.finish(WITHIN));
        assert_eq!(page.lines(), 3000);
        assert_eq!(metrics.log_dropped_lines.get(), 0);
    }

    #[test]
    fn a_flush_does_not_wait_for_a_full_buffer() {
        let page = Page::default();
        let (sink, guard, _) = start(LogFormat::Json, page.clone());
        let mut log = sink.access_log();
        log.write(&sample::record());
        log.flush();
        assert!(guard.finish(WITHIN));
        assert_eq!(page.lines(), 1);
    }

    #[test]
    fn nothing_is_written_when_the_log_is_off() {
        let page = Page::default();
        let (sink, guard, _) = start(LogFormat::Off, page.clone());
        let mut log = sink.access_log();
        log.write(&sample::record());
        log.flush();
        assert!(guard.finish(WITHIN));
        assert_eq!(page.lines(), 0);
    }

    #[test]
    fn a_broken_output_counts_its_lines_as_dropped() {
        let (sink, guard, metrics) = start(LogFormat::Logfmt, Broken);
        let mut log = sink.access_log();
        for _ in 0..2 {
            log.write(&sample::record());
            log.flush();
        }
        assert!(guard.finish(WITHIN));
        assert_eq!(metrics.log_dropped_lines.get(), 2);
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_a_stuck_output_does_not_hold_the_end() {
        let (began, writing) = mpsc::sync_channel(1);
        let (_stuck, go) = mpsc::sync_channel(0);
        let (sink, guard, metrics) = start(LogFormat::Logfmt, Stuck { began, go });
        let mut log = sink.access_log();
        let mut put = || {
            log.write(&sample::record());
            log.flush();
        };
        put();
        writing.recv_timeout(WITHIN).unwrap();
        (0..QUEUE_BUFFERS + 7).for_each(|_| put());
        assert_eq!(metrics.log_dropped_lines.get(), 7);
        assert!(!guard.finish(Duration::from_millis(1)));
    }

    #[test]
    fn what_comes_after_the_end_is_counted_as_dropped() {
        let (sink, guard, metrics) = start(LogFormat::Logfmt, Page::default());
        let mut log = sink.access_log();
        assert!(guard.finish(WITHIN));
        log.write(&sample::record());
        log.flush();
        assert_eq!(metrics.log_dropped_lines.get(), 1);
    }
}
