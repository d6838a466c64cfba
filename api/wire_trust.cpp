#include "api/wire_trust.hpp"

#include <algorithm>
#include <array>

#include "attestation/platform.hpp"
#include "attestation/simulated.hpp"
#include "attestation/tdx_quote.hpp"
#include "core/encoding.hpp"
#include "core/limits.hpp"
#include "sealing/signing.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 4> identity_kinds{"cpu", "gpu", "fmspc", "simulated"};

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool is_word(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}
bool is_https(std::string_view text) { return text.starts_with("https://") && is_word(text); }
// Lines of what else may be text.
bool is_prose(std::string_view text) {
    while (true) {
        const std::size_t end = text.find('\n');
        if (!is_printable(text.substr(0, end))) return false;
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

const TextRule source_rule{9, limits::source_bytes_max, is_https, "an https link"};
const TextRule notes_rule{0, limits::notes_bytes_max, is_prose, "lines of text", true};
const TextRule identity_rule{1, 128, is_word, "printable ASCII without spaces"};

std::string device_digest(std::string_view name) {
    sealing::Sha256 hash;
    hash.update(as_bytes(std::string_view{"cocoon-market/device/v1\0", 24}));
    hash.update(as_bytes(name));
    return to_hex(hash.finish());
}

// All of a TDX machine's registers as the one value that verdicts and constraints name; of other
// machines the one register they have. Empty if some are left open.
std::string whole_value(const Registers& registers) {
    if (registers.size() == 1 && !registers.front().starts_with("tdx."))
        return registers.front().substr(registers.front().find(':') + 1);
    if (registers.size() != 5) return {};
    attestation::TdReport report;
    std::size_t next = 0;
    for (auto* place :
         {&report.mr_td, &report.rtmr[0], &report.rtmr[1], &report.rtmr[2], &report.rtmr[3]}) {
        const std::string& text = registers[next++];
        const auto bytes = from_hex(text.substr(text.find(':') + 1));
        if (!bytes || bytes->size() != place->size()) return {};
        std::copy(bytes->begin(), bytes->end(), place->begin());
    }
    return attestation::tdx_measurement(report);
}

}  // namespace

// ---- Measurements -------------------------------------------------------------------------------

const TextRule register_rule{96, 96, is_hex, "96 lower-case hex characters"};

Measurement measurement_from(ObjectReader in) {
    Measurement measurement;
    measurement.name = in.text("name");
    measurement.version = in.text("version");
    measurement.source = in.text("source", source_rule);
    measurement.notes = in.maybe_text("notes", notes_rule).value_or(std::string{});
    const std::string_view kind = machine_kinds[in.choice("kind", machine_kinds)];
    ObjectReader given = in.object("registers");
    std::vector<std::string> registers;
    const auto add = [&](std::string_view name, const std::string& value) {
        registers.push_back(std::string{kind} + '.' + std::string{name} + ':' + value);
    };
    if (kind == "tdx") {
        add("mrtd", given.text("mrtd", register_rule));
        for (const char* name : {"rtmr0", "rtmr1", "rtmr2", "rtmr3"})
            if (const auto value = given.maybe_text(name, register_rule)) add(name, *value);
    } else {
        add("measurement", given.text("measurement", register_rule));
    }
    measurement.registers = registers;
    return measurement;
}

void write_registers(JsonWriter& out, std::string_view name, const Registers& registers) {
    out.open_object(name);
    for (const std::string& text : registers) {
        const std::size_t dot = text.find('.'), colon = text.find(':');
        if (dot == std::string::npos || colon == std::string::npos || colon < dot) continue;
        const std::string_view view = text;
        out.text(JsonWriter::escaped(view.substr(dot + 1, colon - dot - 1)),
                 view.substr(colon + 1));
    }
    out.close_object();
}

void write_measurement_members(JsonWriter& out, const Measurement& measurement) {
    const std::string& first = measurement.registers.front();
    out.id("id", measurement.id);
    out.id("submitter", measurement.submitter);
    out.text("name", measurement.name);
    out.text("version", measurement.version);
    out.text("kind", std::string_view{first}.substr(0, first.find('.')));
    write_registers(out, "registers", measurement.registers);
    out.text_or_null("measurement", whole_value(measurement.registers));
    out.text("source", measurement.source);
    out.text_or_null("notes", measurement.notes);
    out.text("state", name_of(measurement.state));
    out.text_or_null("reason", measurement.reason);
    out.instant("submitted_at", measurement.submitted_at);
    out.instant_or_null("decided_at", measurement.decided_at);
    // The role. Which person it was stands in the audit log.
    out.text_or_null("decided_by", measurement.decided_at.us == 0 ? "" : "operator");
}

// ---- Identities ---------------------------------------------------------------------------------

std::string read_identity(ObjectReader& in) {
    const std::string_view kind = identity_kinds[in.choice("kind", identity_kinds)];
    std::string value = in.text("value", identity_rule);
    const bool is_digest = value.size() == 64 && is_hex(value);
    if (kind == "cpu" && !value.empty() && !is_digest)
        in.refuse("value", "must be a platform id: 64 lower-case hex characters");
    if (kind == "fmspc" && !value.empty() && !(value.size() == 12 && is_hex(value)))
        in.refuse("value", "must be 12 lower-case hex characters");
    if (kind == "gpu" && !is_digest) value = device_digest(value);
    return std::string{kind} + ':' + value;
}

void write_denial_members(JsonWriter& out, const Denial& denial) {
    out.id("id", denial.id);
    out.text("identity", denial.identity);
    out.text("reason", denial.reason);
    out.instant("at", denial.at);
}

Registers registers_of(const attestation::Verdict& verdict) {
    std::vector<std::string> registers = verdict.registers;
    std::sort(registers.begin(), registers.end());
    return registers;
}

// The CPU first. A cloud's key (VLEK) names no chip: then nothing can be told of the machine.
Identities identities_of(const attestation::Verdict& verdict) {
    std::vector<std::string> identities;
    const bool is_simulated = verdict.tier == attestation::simulated_tier;
    if (!verdict.platform_id.empty())
        identities.push_back((is_simulated ? "simulated:" : "cpu:") + verdict.platform_id);
    for (const auto* names : {&verdict.devices, &verdict.device_certificates})
        for (const std::string& device : *names)
            identities.push_back("gpu:" + device_digest(device));
    if (!verdict.family.empty()) identities.push_back("fmspc:" + verdict.family);
    return identities;
}

std::string advice_for(const VerdictAnswer& answer, std::string_view measurement) {
    switch (answer.standing) {
        case Standing::good: return {};
        case Standing::measurement_pending:
            if (answer.measurement)
                return answer.measurement.text() +
                       " waits for the operator's decision. Until then only requests that name " +
                       std::string{measurement} + " match.";
            return "No entry of the register has these registers: submit the build with POST "
                   "/v1/measurements, with a link to its source. Until it is approved only "
                   "requests that name " +
                   std::string{measurement} + " match.";
        case Standing::measurement_revoked:
            return answer.measurement.text() + " was revoked. Run another build and attest anew.";
        case Standing::platform_denied:
            return "The operator denies this hardware. Ask the operator; other hardware may enrol.";
    }
    return {};
}

}  // namespace cocoon::api
