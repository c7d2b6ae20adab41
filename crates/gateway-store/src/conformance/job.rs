//! Background jobs.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn reread(subject: &str, run_at: Timestamp) -> NewJob {
    NewJob { kind: JobKind::Reread, channel: municipal(), subject: subject.into(), reason: "tie".into(), run_at }
}

async fn claim(store: &dyn Store, now: Timestamp, until: Timestamp) -> Vec<Job> {
    store.claim_jobs(JobKind::Reread, &municipal(), now, until, 10).await.unwrap()
}

/// Asking twice is one job, due at the earlier time; other kinds, channels and subjects are others.
pub async fn the_same_job_is_one_job(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    store.enqueue(&[reread("A", at(50)), reread("A", at(40))]).await.unwrap();
    write(&*store, |_, writes| writes.jobs.push(reread("A", at(60)))).await.unwrap();
    store.enqueue(&[reread("B", at(45)), NewJob { channel: desk(), ..reread("A", at(0)) }]).await.unwrap();
    assert!(claim(&*store, at(39), at(100)).await.is_empty());
    let first = claim(&*store, at(40), at(100)).await;
    assert_eq!(first.iter().map(|job| job.subject.as_str()).collect::<Vec<_>>(), ["A"]);
    assert_eq!((first[0].failures, first[0].reason.as_str()), (0, "tie"));
    let second = claim(&*store, at(50), at(100)).await;
    assert_eq!(second.iter().map(|job| job.subject.as_str()).collect::<Vec<_>>(), ["B"]);
    let tallies = store.job_tallies().await.unwrap();
    assert_eq!(tallies, [(JobKind::Reread, desk(), 1), (JobKind::Reread, municipal(), 2)]);
    let done: Vec<_> = [first, second].concat().iter().map(|job| (job.id, job.requested)).collect();
    store.finish_jobs(&done).await.unwrap();
    assert!(claim(&*store, at(999), at(1999)).await.is_empty());
}

/// What was asked for during a run is not satisfied by that run.
pub async fn a_job_asked_for_again_while_it_runs_runs_again(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    store.enqueue(&[reread("A", at(0))]).await.unwrap();
    let run = claim(&*store, at(0), at(100)).await;
    store.enqueue(&[reread("A", at(30))]).await.unwrap();
    assert!(claim(&*store, at(50), at(150)).await.is_empty(), "it runs already");
    store.finish_jobs(&[(run[0].id, run[0].requested)]).await.unwrap();
    assert!(claim(&*store, at(29), at(100)).await.is_empty(), "not before it was asked for");
    let again = claim(&*store, at(30), at(100)).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].id, run[0].id);
    assert!(again[0].requested > run[0].requested);
    store.finish_jobs(&[(again[0].id, again[0].requested)]).await.unwrap();
    assert!(store.job_tallies().await.unwrap().is_empty());
    store.enqueue(&[reread("A", at(30))]).await.unwrap();
    assert_eq!(claim(&*store, at(30), at(100)).await.len(), 1);
}

/// A worker that died does not keep its job.
pub async fn a_claim_that_ran_out_is_due_again(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    a.enqueue(&[reread("A", at(0))]).await.unwrap();
    assert_eq!(claim(&*a, at(0), at(100)).await.len(), 1);
    assert!(claim(&*b, at(99), at(200)).await.is_empty());
    assert_eq!(claim(&*b, at(100), at(200)).await.len(), 1);
}

/// A failure counts, and is tried again when it says.
pub async fn a_failed_job_comes_back_later(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    store.enqueue(&[reread("A", at(0))]).await.unwrap();
    let run = claim(&*store, at(0), at(100)).await;
    store.fail_job(run[0].id, "throttled", at(60)).await.unwrap();
    assert!(claim(&*store, at(59), at(100)).await.is_empty());
    let again = claim(&*store, at(60), at(100)).await;
    assert_eq!((again[0].failures, again[0].reason.as_str()), (1, "throttled"));
    let unknown = store.fail_job(JobId(999), "x", at(0)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
}
