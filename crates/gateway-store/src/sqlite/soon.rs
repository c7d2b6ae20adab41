//! Waiting for the connection's thread without falling asleep at once.

use std::future::Future;
use std::pin::pin;
use std::task::{Poll, ready};

/// How often it is looked again before this thread sleeps: some 20 to 50 µs, as long as it takes to fall asleep and be woken.
const LOOKS: u32 = 64;

/// Waits for what is about to come. The rows of an answer come one by one, each sooner than a sleeping thread is woken, so that going to sleep for each
/// costs both sides more than the row; meanwhile the processor is offered to whoever else wants it.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        for _ in 0..LOOKS {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            std::thread::yield_now();
        }
        Poll::Ready(ready!(future.as_mut().poll(context)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::soon;
    use std::future::poll_fn;
    use std::task::Poll;

    #[tokio::test]
    async fn what_comes_soon_is_taken_without_sleeping() {
        let mut looks = 0;
        // Nobody would wake who sleeps.
        let waited = soon(poll_fn(|_| {
            looks += 1;
            if looks > 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        waited.await;
        assert_eq!(looks, 4);
    }

    #[tokio::test]
    async fn what_comes_late_wakes_the_sleeper() {
        let (answer, wait) = tokio::sync::oneshot::channel();
        let late = tokio::spawn(soon(wait));
        tokio::task::yield_now().await;
        answer.send(7).unwrap();
        assert_eq!(late.await.unwrap(), Ok(7));
    }
}
