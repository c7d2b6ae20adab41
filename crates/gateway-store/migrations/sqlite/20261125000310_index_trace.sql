-- What is asked for the trace of one order.
CREATE INDEX command_order ON command (order_id, at);
CREATE INDEX dead_letter_number ON dead_letter (number, id) WHERE number IS NOT NULL;
