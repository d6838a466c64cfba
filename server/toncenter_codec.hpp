// What toncenter's two APIs send and answer, as text and as plain values (v2 of ton-http-api, v3 of
// ton-index). Called by toncenter.cpp; any thread. Only the members that are used are read, each of
// exactly the type it must have; decoded fields beside raw data are not read at all. It must not
// know whom it speaks to, nor whether what it read is true.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "settlement/ton_history.hpp"

namespace cocoon::server::toncenter {

constexpr std::size_t answer_bytes_max = 16u << 20;  // a page of a hundred large transactions

// Errors of all: malformed_request, saying what is missing; upstream_failed when the answer is a
// well-formed refusal of the provider, with the beginning of its words.
Result<settlement::ton::AccountView> read_account(std::string_view answer);
Result<std::vector<settlement::ton::RawTransaction>> read_transactions(std::string_view answer);
Result<settlement::ton::CellRef> read_parameter(std::string_view answer);

std::string send_request(ByteView message);  // for v2's sendBoc and v3's message alike
// Whether a message was taken. wrong_state: its account refuses it; the detail is "exit code N".
Result<void> read_sent(int status, std::string_view answer);

}  // namespace cocoon::server::toncenter
