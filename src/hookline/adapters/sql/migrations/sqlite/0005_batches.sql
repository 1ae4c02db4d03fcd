-- A batch is a row of `delivery` whose event is itself; those with its id as `batch_id` go in it.
ALTER TABLE delivery ADD COLUMN gathers TEXT;   -- of a batch that still takes events: their kind
CREATE UNIQUE INDEX delivery_gathering ON delivery (webhook_id, gathers) WHERE gathers IS NOT NULL;
