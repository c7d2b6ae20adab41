-- What every round of the monitor asks for.

-- The gaps of a channel that are not over, among all that ever were; queries repeat the list of states so that this index serves them.
CREATE INDEX gap_active ON gap (channel, id) WHERE state IN ('suspected', 'open', 'repairing');
-- How many dead letters wait, and since when, by channel.
CREATE INDEX dead_letter_waiting ON dead_letter (channel, at) WHERE state = 'open';
