// Every bound of the system, with its unit last. Reaching one has a tested answer, named beside it.
// Those an operator may change are defaults here and settings in server/config.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cocoon::limits {

// ---- HTTP (net/): 413, 431, 408, 429 ---------------------------------------------------------
constexpr std::size_t http_body_bytes_max = 1 << 20;  // JSON bodies
constexpr std::size_t http_sealed_body_bytes_max = 32u
                                                   << 20;  // sealed requests, streamed to the node
constexpr std::size_t http_header_bytes_max = 16 << 10;
constexpr std::size_t http_target_bytes_max = 8 << 10;
constexpr int http_header_read_seconds_max = 10;  // slow senders of headers
constexpr int http_body_read_seconds_max = 60;
constexpr int http_idle_seconds_max = 75;   // keep-alive without a request
constexpr int http_write_seconds_max = 30;  // slow readers, per write
constexpr int http_connections_max = 4096;
constexpr int http_connections_per_address_max = 1024;
constexpr std::size_t http_response_pending_bytes_max =
    1 << 20;  // streamed answer not yet taken by the peer

// ---- Lane and workers: 503 overloaded ---------------------------------------------------------
constexpr std::size_t lane_inbox_commands_max = 4096;
constexpr std::size_t lane_batch_commands_max = 512;
constexpr std::size_t worker_queue_calls_max = 1024;
constexpr std::size_t request_batch_max = 256;  // requests in one batch placing

// ---- Book: 409 limit_reached, 422 invalid_body ------------------------------------------------
constexpr std::uint32_t nodes_per_provider_max = 1'000;
constexpr std::uint32_t offers_per_node_max = 64;
constexpr std::uint32_t open_requests_per_account_max = 100'000;
constexpr std::uint32_t keys_per_account_max = 100;
constexpr std::uint32_t markets_max = 10'000;
constexpr std::uint32_t slots_per_offer_max = 4'096;
constexpr std::uint32_t alternatives_max = 4;  // any_of
constexpr std::uint32_t list_items_max = 64;   // regions, measurements, allow, deny
constexpr std::uint32_t schedule_windows_max = 21;
constexpr std::uint32_t explain_offers_max = 512;  // looked at by one explanation
constexpr std::uint32_t measurements_per_account_max = 100;
constexpr std::uint32_t measurements_max = 10'000;
constexpr std::uint32_t registers_max = 8;     // of one measurement
constexpr std::uint32_t denials_max = 10'000;  // denied identities
constexpr std::uint32_t identities_max = 80;   // CPU, GPUs by each name, families of one node
constexpr std::size_t identity_bytes_max = 160;
constexpr std::size_t source_bytes_max = 512;  // link to a build's source
constexpr std::size_t notes_bytes_max = 4'096;
constexpr std::uint32_t probation_jobs_max = 10'000;
// Looked at by one command that frees a slot or money; Ticks go on where it stopped.
constexpr std::size_t resting_requests_per_command_max = 256;
constexpr std::size_t resting_requests_per_tick_max = 1'024;
constexpr std::uint32_t open_payouts_per_account_max = 16;
constexpr std::int64_t payout_nano_min = 100'000'000;  // 0.1 coins: some twenty times a transfer
constexpr std::size_t name_bytes_max = 128;            // models, regions, builds, titles
constexpr std::size_t idempotency_key_bytes_max = 255;
constexpr std::size_t profile_bytes_max = 8 << 10;              // sign-up form, as canonical JSON
constexpr std::int64_t price_nano_max = 1'000'000'000'000'000;  // 10^6 coins per unit
constexpr std::int64_t tokens_max = 1'000'000'000'000;          // per request or session
constexpr std::int64_t gpu_seconds_max = 366LL * 86'400 * 4'096;
constexpr std::int64_t amount_nano_max =
    5'000'000'000'000'000'000;  // the coin's whole supply, about

// ---- Time -------------------------------------------------------------------------------------
constexpr std::int64_t reservation_seconds_max = 86'400 * 31;
constexpr std::int64_t reservation_seconds_default = 300;
constexpr std::int64_t rest_seconds_max = 86'400 * 7;
constexpr std::int64_t idempotency_seconds = 86'400;
// Answers kept that long: 429 idempotency_memory_full until the oldest goes.
constexpr std::size_t remembered_per_account_max = 500'000;
constexpr std::size_t remembered_bytes_per_account_max = remembered_per_account_max << 10;
constexpr std::size_t remembered_max = 2'000'000;
constexpr std::size_t remembered_bytes_max = remembered_max << 10;
// Ended jobs and requests stay findable by late receipts.
constexpr std::int64_t terminal_in_memory_seconds = 600;
constexpr std::int64_t node_away_grace_seconds = 30;  // job of a silent node before it is lost
constexpr std::int64_t receipt_grace_seconds = 120;   // a running job's receipt after its expiry

// ---- Relay ------------------------------------------------------------------------------------
constexpr std::size_t relay_frame_bytes_max = 256 << 10;
constexpr std::size_t relay_window_bytes = 1 << 20;          // credit per direction and stream
constexpr std::size_t receipt_trailer_bytes_max = 16 << 10;  // longer ones are asked for
constexpr std::size_t relay_streams_per_node_max = 4'096;
constexpr int relay_ping_seconds = 10;

// ---- Node and client --------------------------------------------------------------------------
constexpr std::size_t client_concurrent_calls_max = 512;
constexpr std::size_t engine_answer_bytes_max = 64u << 20;
constexpr int keyset_hours = 12;                   // life of a node's sealing keys
constexpr int replay_cache_entries_max = 1 << 20;  // enc values a node remembers

// ---- Feeds ------------------------------------------------------------------------------------
constexpr std::size_t feed_subscribers_max = 1'024;
constexpr std::size_t feed_pending_events_max = 1'024;  // then an explicit gap
constexpr std::uint32_t webhooks_per_account_max = 16;
constexpr std::uint32_t page_rows_max = 100;
constexpr std::uint32_t page_rows_default = 50;

}  // namespace cocoon::limits
