UPDATE lease SET holder = NULL, until = $2 WHERE holder = $1
