-- Those that wait for a person; queries repeat the list of states so that this index serves them.
CREATE INDEX delivery_left ON delivery (id) WHERE state IN ('held', 'rejected', 'dead_lettered');
