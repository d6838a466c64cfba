#include "db/collateral_pieces.hpp"

#include "db/connection.hpp"

namespace cocoon::db {
namespace {

const Statement drop_collateral{
    "drop_collateral",
    "delete from collateral_pieces where ends <= $1::bigint or name not in (select name from "
    "collateral_pieces order by fetched_at desc, name limit $2::bigint)"};
const Statement load_collateral{
    "load_collateral",
    "select name, body, signature, issuer_chain, issued, ends, fetched_at, fresh_until from "
    "collateral_pieces order by fetched_at, name"};
const Statement keep_collateral{
    "keep_collateral",
    "insert into collateral_pieces (name, body, signature, issuer_chain, issued, ends, "
    "fetched_at, fresh_until) values ($1::text, $2::bytea, $3::bytea, $4::text, $5::bigint, "
    "$6::bigint, $7::bigint, $8::bigint) on conflict (name) do update set body = excluded.body, "
    "signature = excluded.signature, issuer_chain = excluded.issuer_chain, issued = "
    "excluded.issued, ends = excluded.ends, fetched_at = excluded.fetched_at, fresh_until = "
    "excluded.fresh_until where collateral_pieces.fetched_at <= excluded.fetched_at"};
const Statement forget_collateral{"forget_collateral",
                                  "delete from collateral_pieces where name = any($1::text[])"};

Bytes octets(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::vector<KeptCollateral> CollateralPieces::load(Instant ends_after, std::size_t rows_max) {
    Pool::Lease lease = pool_.take();
    lease->run(drop_collateral,
               Parameters{}.add(ends_after.us).add(static_cast<std::int64_t>(rows_max)));
    const Rows rows = lease->run(load_collateral);
    std::vector<KeptCollateral> out;
    out.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        out.push_back({std::string{rows.text(i, 0)},
                       {std::string{as_text(rows.bytes(i, 1))}, octets(rows.bytes(i, 2)),
                        std::string{rows.text(i, 3)}, Instant{rows.integer(i, 4)},
                        Instant{rows.integer(i, 5)}},
                       Instant{rows.integer(i, 6)},
                       Instant{rows.integer(i, 7)}});
    return out;
}

void CollateralPieces::keep(const KeptCollateral& kept) {
    const CollateralPiece& piece = kept.piece;
    Parameters parameters;
    parameters.add_text(kept.name)
        .add_bytes(as_bytes(piece.body))
        .add_bytes(piece.signature)
        .add_text(piece.issuer_chain)
        .add(piece.issued.us)
        .add(piece.ends.us)
        .add(kept.fetched_at.us)
        .add(kept.fresh_until.us);
    Pool::Lease lease = pool_.take();
    lease->run(keep_collateral, parameters);
}

void CollateralPieces::forget(const std::vector<std::string>& names) {
    if (names.empty()) return;
    ArrayBuilder list{ArrayBuilder::Type::text};
    for (const std::string& name : names) list.add_raw(name);
    Pool::Lease lease = pool_.take();
    lease->run(forget_collateral, Parameters{}.add_encoded(list.finish()));
}

}  // namespace cocoon::db
