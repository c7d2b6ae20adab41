SELECT channel, dataset, outcome, changes FROM flow_tally ORDER BY channel, dataset, outcome
