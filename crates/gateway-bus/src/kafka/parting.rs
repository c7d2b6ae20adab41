//! The end of a client waits for its threads, and that of a reader for a word with the brokers: never on a thread of the runtime.

use super::client::apart;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A client whose end comes on a thread of its own, whoever lets go of it last.
pub(super) struct Parting<T: Send + Sync + 'static> {
    inner: Arc<T>,
    farewell: fn(&T),
    /// Dropped when the client has ended.
    after: Option<Box<dyn Send + Sync>>,
    gone: Option<oneshot::Receiver<()>>,
    // Dropped after `inner`: then the thread's hold is the last one of this value's.
    _going: oneshot::Sender<()>,
}

impl<T: Send + Sync + 'static> Parting<T> {
    /// `farewell` is called before the end, on the same thread.
    pub fn new(inner: T, farewell: fn(&T)) -> Self {
        let (going, gone) = oneshot::channel();
        Self { inner: Arc::new(inner), farewell, after: None, gone: Some(gone), _going: going }
    }

    /// For a question on another thread.
    pub fn share(&self) -> Arc<T> {
        Arc::clone(&self.inner)
    }

    /// What is dropped once the client has ended.
    pub fn after(&mut self, after: impl Send + Sync + 'static) {
        self.after = Some(Box::new(after));
    }
}

impl<T: Send + Sync + 'static> Deref for Parting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: Send + Sync + 'static> Drop for Parting<T> {
    fn drop(&mut self) {
        let (inner, farewell) = (self.share(), self.farewell);
        let (gone, after) = (self.gone.take(), self.after.take());
        drop(apart(move || {
            farewell(&inner);
            if let Some(gone) = gone {
                // Ends with an error, when nobody is left to send.
                gone.blocking_recv().ok();
            }
            drop(inner);
            drop(after);
        }));
    }
}
