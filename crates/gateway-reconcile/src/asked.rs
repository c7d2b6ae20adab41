//! Repairs that a person asked for: of single gaps at once, of whole groups as fast as live traffic allows.

use gateway_model::{GapGroupId, GapId, JobId};
use gateway_store::GapRow;
use std::collections::{HashMap, HashSet};

/// What was asked for in this round, and what goes on.
pub(crate) struct AskedRepairs<'a> {
    pub(crate) gaps: &'a HashSet<GapId>,
    pub(crate) groups: &'a mut GroupRepairs,
}

/// Groups of which every open gap is to be repaired once. A job is done when none is left to begin; after a restart the job is taken over anew, and
/// what was begun twice is read twice.
#[derive(Debug, Default)]
pub(crate) struct GroupRepairs {
    under_way: HashMap<GapGroupId, (JobId, u64, HashSet<GapId>)>,
    done: Vec<(JobId, u64)>,
}

impl GroupRepairs {
    /// Takes a job over.
    pub(crate) fn take(&mut self, group: GapGroupId, (job, requested): (JobId, u64)) {
        let entry = self.under_way.entry(group).or_insert_with(|| (job, requested, HashSet::new()));
        (entry.0, entry.1) = (job, requested);
    }

    /// Whether a gap of a group is still to be begun.
    pub(crate) fn wants(&self, group: GapGroupId, gap: GapId) -> bool {
        self.under_way.get(&group).is_some_and(|(_, _, begun)| !begun.contains(&gap))
    }

    /// Notes that its repair was begun, or can't be.
    pub(crate) fn begun(&mut self, gap: &GapRow) {
        if let Some((_, _, begun)) = gap.group_id.and_then(|group| self.under_way.get_mut(&group)) {
            begun.insert(gap.id);
        }
    }

    /// Ends the jobs of groups that have nothing left to begin.
    pub(crate) fn settle(&mut self, open: &[&GapRow]) {
        let done = &mut self.done;
        self.under_way.retain(|group, (job, requested, begun)| {
            let left = open.iter().any(|gap| {
                gap.group_id == Some(*group)
                    && gap.kind != gateway_model::GapKind::ManifestUnreliable
                    && !begun.contains(&gap.id)
            });
            if !left {
                done.push((*job, *requested));
            }
            left
        });
    }

    /// The jobs that are done.
    pub(crate) fn take_done(&mut self) -> Vec<(JobId, u64)> {
        std::mem::take(&mut self.done)
    }
}
