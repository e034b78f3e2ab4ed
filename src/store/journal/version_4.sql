-- A parked message says as which event it counted in joins. Until now each had counted as itself.

UPDATE parked SET body = json_set(body, '$.item.message.counted_as', id) WHERE body -> '$.item.message' IS NOT NULL;
