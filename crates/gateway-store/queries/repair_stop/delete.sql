DELETE FROM repair_stop WHERE channel = $1 AND dataset = $2
