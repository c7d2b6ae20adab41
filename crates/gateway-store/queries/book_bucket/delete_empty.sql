DELETE FROM book_bucket WHERE count = 0
