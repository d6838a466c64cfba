// The 24 words that wallets of this chain show their owners, as a signing key. Not BIP-39: the
// words are the password of an HMAC, and a check of the chain's own rejects most mistyped lists
// (the reference library, `mnemonic.ts` of ton-crypto). Called once, when an operator's key is
// read; takes tens of milliseconds. The words are wiped; nothing of them is ever logged.
#pragma once

#include "settlement/crypto.hpp"

namespace cocoon::settlement::ton {

// malformed_request: not 24 words of lower-case letters (any case is read), or not a list made for
// this chain, without a password. The reason never repeats a word.
Result<SigningKey> key_from_mnemonic(std::string_view words);

}  // namespace cocoon::settlement::ton
