// A wallet's owner shows to be its owner (TON Connect's `ton_proof`): read from a body and judged.
// Called by the sign-in and by the account's wallet on worker threads; any thread. Must not know
// whose wallet it is.
#pragma once

#include "api/context.hpp"
#include "api/field_reader.hpp"
#include "api/http.hpp"
#include "settlement/ton_proof.hpp"

namespace cocoon::api {

// As the wallet sent it; faults are noted in `in`. Its texts are base64, its key is hex.
settlement::ton::TonProof read_wallet_proof(ObjectReader in);

// The address that was proven to us, now and for the first time with this payload.
// wallet_proof_refused with the first check that failed.
Result<settlement::ton::Address> proven_wallet(const settlement::ton::TonProof& proof,
                                               const Call& call, const Context& context);

}  // namespace cocoon::api
