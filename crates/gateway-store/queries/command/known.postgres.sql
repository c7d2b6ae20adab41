SELECT c.id FROM command AS c WHERE c.id = ANY ($1)
