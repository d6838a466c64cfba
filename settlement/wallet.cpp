#include "settlement/wallet.hpp"

#include <algorithm>

#include "settlement/wallet_code.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint32_t v3_v4_wallet_id = 698'983'191;    // the reference's choice for workchain 0
constexpr std::uint32_t v5_client_context = 0x8000'0000;  // workchain 0, version 0, subwallet 0
constexpr std::uint32_t v5_signed_external = 0x7369676E;
constexpr std::uint8_t v4_send = 0;

std::string_view code_of(WalletKind kind) {
    switch (kind) {
        case WalletKind::v3r2: return wallet_v3r2_code;
        case WalletKind::v4r2: return wallet_v4r2_code;
        case WalletKind::v5r1: return wallet_v5r1_code;
    }
    ENSURE(false);
}

struct KnownCode {
    std::string_view hash;
    std::size_t flag_bits;  // before the sequence number
};
constexpr KnownCode known_codes[] = {
    {"b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581", 0},  // v3r1
    {"84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599", 0},  // v3r2
    {"feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0", 0},  // v4r2
    {"20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f", 1},  // v5r1
};

}  // namespace

std::uint32_t default_wallet_id(WalletKind kind, Network network) {
    if (kind != WalletKind::v5r1) return v3_v4_wallet_id;
    return static_cast<std::uint32_t>(network) ^ v5_client_context;
}

StateInit wallet_state(WalletKind kind, const PublicKey& key, std::uint32_t wallet_id) {
    Builder data;
    if (kind == WalletKind::v5r1) data.bit(true);  // signatures are allowed
    data.number(0, 32).number(wallet_id, 32).bytes(key);
    if (kind != WalletKind::v3r2) data.bit(false);  // no plug-ins, no extensions
    StateInit state;
    state.code = wallet_code(code_of(kind));
    state.data = data.cell();
    return state;
}

std::optional<WalletData> read_wallet(const StateInit& state) {
    if (!state.code || !state.data) return std::nullopt;
    const std::string hash = to_hex(state.code->hash());
    for (const KnownCode& known : known_codes) {
        if (known.hash != hash) continue;
        Slice data{state.data};
        data.number(known.flag_bits);
        WalletData read;
        read.sequence = static_cast<std::uint32_t>(data.number(32));
        read.wallet_id = static_cast<std::uint32_t>(data.number(32));
        read.owner = data.hash();
        return data.good() ? std::optional{read} : std::nullopt;
    }
    return std::nullopt;
}

Result<CellRef> sign_transfer(WalletKind kind, const SigningKey& key, const TransferTerms& terms,
                              std::span<const OutAction> actions) {
    const bool v5 = kind == WalletKind::v5r1;
    if (actions.empty() || actions.size() > (v5 ? actions_max : cell_refs_max))
        return refuse(ErrorCode::invalid_body, "the wallet takes no such number of messages");
    Builder unsigned_body;
    if (v5) unsigned_body.number(v5_signed_external, 32);
    unsigned_body.number(terms.wallet_id, 32)
        .number(terms.valid_until, 32)
        .number(terms.sequence, 32);
    if (v5) {
        for (const OutAction& action : actions)
            if ((action.mode & ignore_errors) == 0)
                return refuse(ErrorCode::invalid_body, "the wallet only sends with errors ignored");
        unsigned_body.maybe_ref(out_list(actions)).bit(false);  // no extended actions
    } else {
        if (kind == WalletKind::v4r2) unsigned_body.number(v4_send, 8);
        for (const OutAction& action : actions)
            unsigned_body.number(action.mode, 8).ref(action.message);
    }
    const CellRef content = unsigned_body.cell();
    const Signature signature = key.sign(content->hash());
    // v5 carries its signature behind what is signed, the older ones before it.
    return v5 ? Builder{}.content(*content).bytes(signature).cell()
              : Builder{}.bytes(signature).content(*content).cell();
}

}  // namespace cocoon::settlement::ton
