-- How people sign in to the pages. Written by db/logins.cpp only, never by the journal: neither a hash of a
-- password nor the secret of a code belongs into what is kept for ever and replayed.
--
-- `password_hash` names its own cost (api/login.hpp) and needs a secret of the server to be tried; `code_secret`
-- is sealed under another one. `code_step` is the newest step whose code was used: each is good once.
create table logins (
    account       bigint primary key check (account > 0),
    name          text not null unique check (name = lower(name) and length(name) between 1 and 64),
    password_hash text not null,
    code_secret   bytea,
    code_step     bigint not null default 0,
    changed_at    bigint not null
);

-- Wallets whose owner has shown to hold their key: one account each, one wallet an account.
create table wallets (
    account   bigint primary key check (account > 0),
    address   text not null unique check (address = lower(address)),
    proven_at bigint not null
);
