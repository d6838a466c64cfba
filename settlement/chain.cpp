#include "settlement/chain.hpp"

namespace cocoon::settlement {

std::string_view name_of(Entry::Kind kind) {
    switch (kind) {
        case Entry::Kind::deposit: return "deposit";
        case Entry::Kind::operator_funds: return "operator_funds";
        case Entry::Kind::bounced: return "bounced";
        case Entry::Kind::accepted: return "accepted";
        case Entry::Kind::refused: return "refused";
        case Entry::Kind::executed: return "executed";
        case Entry::Kind::other: return "other";
    }
    return "other";
}

Result<PayoutBatch> Chain::build_claims(std::uint64_t, const std::vector<ChannelClaim>&) {
    return refuse(ErrorCode::wrong_state, "this chain has no payment channels");
}

}  // namespace cocoon::settlement
