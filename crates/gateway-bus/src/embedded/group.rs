//! Groups of readers within this process: who reads which partition.
//!
//! The directory is locked by one process, so membership needs no protocol. Partitions are dealt out evenly over the members that read their
//! topic. A partition moves only when its holder lets go, which it does at its next fetch or when it is dropped: between two fetches it works
//! on what it has, so a hand-over in an orderly loop (fetch, work, commit) repeats nothing and never has two members at one partition. Taking
//! partitions away by force after some time was refused: a member that is alive but never fetches is a fault to be seen as lag, not to be
//! papered over by a second reader out of order.

use super::catalog::{Topic, locked};
use super::key::PartitionId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A member of a group.
#[derive(Debug)]
struct Member {
    topics: Vec<Arc<Topic>>,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<u64, Member>,
    holders: HashMap<PartitionId, u64>,
}

impl Group {
    /// Who should hold each partition.
    fn shares(&self) -> BTreeMap<PartitionId, u64> {
        let mut readers: BTreeMap<PartitionId, Vec<u64>> = BTreeMap::new();
        for (number, member) in &self.members {
            for id in member.topics.iter().flat_map(|topic| topic.ids()) {
                readers.entry(id).or_default().push(*number);
            }
        }
        readers.into_iter().enumerate().map(|(turn, (id, members))| (id, members[turn % members.len()])).collect()
    }

    fn wake_all(&self) {
        for member in self.members.values() {
            member.wake.notify_one();
        }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Mutex<HashMap<String, Group>>,
    last_member: std::sync::atomic::AtomicU64,
}

impl Groups {
    /// Adds a member; the others are woken so that they let go of its share.
    pub fn join(&self, group: &str, topics: &[Arc<Topic>], wake: &Arc<Notify>) -> u64 {
        let number = self.last_member.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let mut groups = locked(&self.groups);
        let group = groups.entry(group.to_owned()).or_default();
        group.members.insert(number, Member { topics: topics.to_vec(), wake: Arc::clone(wake) });
        group.wake_all();
        number
    }

    /// Removes a member with all that it holds.
    pub fn leave(&self, name: &str, member: u64) {
        let mut groups = locked(&self.groups);
        if let Some(group) = groups.get_mut(name) {
            group.members.remove(&member);
            group.holders.retain(|_, holder| *holder != member);
            group.wake_all();
            if group.members.is_empty() {
                groups.remove(name);
            }
        }
    }

    /// Lets go of what others should hold, takes what is free and due to this member, and returns all that it holds.
    pub fn settle(&self, name: &str, member: u64) -> Vec<PartitionId> {
        let mut groups = locked(&self.groups);
        let Some(group) = groups.get_mut(name) else { return Vec::new() };
        let mut held = Vec::new();
        for (id, due) in group.shares() {
            let holder = group.holders.get(&id).copied();
            if due == member && holder.is_none_or(|holder| holder == member) {
                group.holders.insert(id, member);
                held.push(id);
            } else if due != member && holder == Some(member) {
                group.holders.remove(&id);
                if let Some(next) = group.members.get(&due) {
                    next.wake.notify_one();
                }
            }
        }
        held
    }

    /// Wakes every member of every group.
    pub fn wake_all(&self) {
        locked(&self.groups).values().for_each(Group::wake_all);
    }
}
