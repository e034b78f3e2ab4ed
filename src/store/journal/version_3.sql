-- What is known of each kind of message that must have come before a time of day.

CREATE TABLE expected (worker TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (worker, type)) STRICT;
