-- The newest collateral that any accepted evidence has shown, for good: whoever chooses collateral would
-- choose an older one. Written by db/collateral.cpp only; values only rise.
--
-- `newest` is a number of 20 octets, most significant first: Intel's evaluation data number, the microseconds
-- of a list's thisUpdate, or a revocation list's own number (RFC 5280, 5.2.3: at most 20 octets).
create table collateral_seen (
    name   text primary key,
    newest bytea not null check (octet_length(newest) = 20)
);
