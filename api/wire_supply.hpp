// JSON of nodes, evidence and offers. Called by nodes.cpp and offers.cpp; pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/field_reader.hpp"
#include "api/json_writer.hpp"
#include "attestation/verdict.hpp"
#include "matching/commands.hpp"

namespace cocoon::api {

// Everything but id, provider and state. `own_node`: of a node's own key, which may leave `node`
// out.
matching::PlaceOffer read_place_offer(ObjectReader in, NodeId own_node, Instant at);
matching::AmendOffer read_amend_offer(ObjectReader in, Instant at);
void write_offer_members(JsonWriter& out, const matching::Offer& offer, std::string_view market);

// The public part; with `everything` also what only its owner sees.
void write_node_members(JsonWriter& out, const matching::Node& node, Instant at, bool everything);

// status, tier, measurement, platform_id, valid_until, reasons.
void write_verdict_members(JsonWriter& out, const attestation::Verdict& verdict);
// What SubmitVerdict keeps: the verdict and the nonce it answered, canonical.
// The nonce of such a document; nothing if it has none.
std::optional<std::string> nonce_in(std::string_view verdict_document);
std::string verdict_document(const attestation::Verdict& verdict, std::string_view nonce);

}  // namespace cocoon::api
