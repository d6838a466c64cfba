// JSON of the register of measurements and of the deny-list, and what of a verdict the engine keeps
// of a machine: its registers and the identities of its hardware. Called by nodes.cpp,
// measurements.cpp and events.cpp; pure functions. Hardware is named by digests only.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "api/field_reader.hpp"
#include "api/json_writer.hpp"
#include "attestation/verdict.hpp"
#include "matching/commands.hpp"

namespace cocoon::api {

constexpr std::array<std::string_view, 3> machine_kinds{"tdx", "snp", "simulated"};
extern const TextRule register_rule;

// kind, registers, name, version, source, notes.
matching::Measurement measurement_from(ObjectReader in);
void write_measurement_members(JsonWriter& out, const matching::Measurement& measurement);
// {"mrtd": …} without the kind that the names begin with.
void write_registers(JsonWriter& out, std::string_view name, const matching::Registers& registers);

// kind and value as the engine keeps an identity: "gpu:" and a digest of the device's name.
std::string read_identity(ObjectReader& in);
void write_denial_members(JsonWriter& out, const matching::Denial& denial);

// Of a proven verdict.
matching::Registers registers_of(const attestation::Verdict& verdict);
matching::Identities identities_of(const attestation::Verdict& verdict);

// What the provider can do about a standing that is not good; empty when it is.
std::string advice_for(const matching::VerdictAnswer& answer, std::string_view measurement);

}  // namespace cocoon::api
