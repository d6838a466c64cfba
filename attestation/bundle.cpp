#include "attestation/bundle.hpp"

#include <algorithm>
#include <initializer_list>

#include "attestation/event_log.hpp"
#include "attestation/firmware_log.hpp"
#include "attestation/json.hpp"
#include "attestation/nvidia_token.hpp"
#include "attestation/revocation.hpp"
#include "attestation/tdx_quote.hpp"

namespace cocoon::attestation {
namespace {

using Document = nlohmann::ordered_json;

constexpr std::size_t manifest_bytes_max = 128 << 10;
constexpr std::size_t revocation_bytes_max = 128 << 10;

// Walks the document and remembers the first thing that is wrong with it.
class BundleReader {
public:
    void refuse_member(std::string_view name, std::string_view why) {
        if (fault_.empty()) fault_ = std::string{name} + ": " + std::string{why};
    }
    const std::string& fault() const { return fault_; }

    // An object that has no members but these; an absent one is empty.
    const Json& object(const Json* found, std::string_view name,
                       std::initializer_list<std::string_view> known) {
        static const Json empty = Json::object();
        if (!found) return empty;
        if (!found->is_object()) {
            refuse_member(name, "must be an object");
            return empty;
        }
        for (const auto& item : found->items())
            if (std::find(known.begin(), known.end(), item.key()) == known.end())
                refuse_member(name, "has a member that is not known");
        return *found;
    }
    std::string text(const Json& object, std::string_view name, std::size_t bytes_max) {
        const Json* found = member(object, name);
        if (!found) return {};
        if (!found->is_string()) {
            refuse_member(name, "must be a string");
            return {};
        }
        auto text = found->get<std::string>();
        if (text.size() > bytes_max) refuse_member(name, "is too long");
        return text;
    }
    Bytes octets(const Json& object, std::string_view name, std::size_t bytes_max) {
        const Json* found = member(object, name);
        return found ? decoded(*found, name, bytes_max) : Bytes{};
    }
    Bytes decoded(const Json& value, std::string_view name, std::size_t bytes_max) {
        auto bytes = value.is_string() ? from_base64(value.get<std::string>()) : std::nullopt;
        if (!bytes) refuse_member(name, "must be base64");
        if (bytes && bytes->size() > bytes_max) refuse_member(name, "is too long");
        return bytes ? *std::move(bytes) : Bytes{};
    }
    std::vector<Bytes> pieces(const Json& object, std::string_view name, std::size_t count_max,
                              std::size_t bytes_max) {
        std::vector<Bytes> out;
        for (const Json& piece : list(object, name, count_max))
            out.push_back(decoded(piece, name, bytes_max));
        return out;
    }
    const Json& list(const Json& object, std::string_view name, std::size_t count_max) {
        static const Json empty = Json::array();
        const Json* found = member(object, name);
        if (!found) return empty;
        if (found->is_array() && found->size() <= count_max) return *found;
        refuse_member(name, found->is_array() ? "has too many items" : "must be an array");
        return empty;
    }
    void required(const Json& object, std::string_view name) {
        if (!member(object, name)) refuse_member(name, "is missing");
    }

private:
    std::string fault_;
};

void read_cpu(BundleReader& in, const Json& document, Bundle& bundle) {
    in.required(document, "cpu");
    const Json* found = member(document, "cpu");
    const std::string kind = found ? text_at(*found, "kind").value_or("") : "";
    if (kind == "tdx") {
        const Json& cpu = in.object(found, "cpu", {"kind", "quote", "event_log", "firmware_log"});
        in.required(cpu, "quote");
        TdxPart tdx;
        tdx.quote = in.octets(cpu, "quote", tdx_quote_bytes_max);
        tdx.firmware_log = in.octets(cpu, "firmware_log", firmware_log_bytes_max);
        if (const Json* log = member(cpu, "event_log")) {
            tdx.event_log = log->dump();
            if (!log->is_array() || tdx.event_log.size() > event_log_bytes_max)
                in.refuse_member("event_log", "must be an array of bounded length");
        }
        bundle.cpu = std::move(tdx);
    } else if (kind == "snp") {
        const Json& cpu = in.object(found, "cpu", {"kind", "report"});
        in.required(cpu, "report");
        bundle.cpu = SnpPart{in.octets(cpu, "report", snp_report_bytes)};
    } else {
        in.refuse_member("cpu", "must have the kind tdx or snp");
    }
}

void read_gpus(BundleReader& in, const Json& document, Bundle& bundle) {
    for (const Json& item : in.list(document, "gpus", nvidia_devices_max)) {
        const Json& gpu = in.object(&item, "gpus", {"report", "certificates"});
        in.required(gpu, "report");
        in.required(gpu, "certificates");
        NvidiaEvidence evidence;
        evidence.report = in.octets(gpu, "report", nvidia_report_bytes_max);
        evidence.certificates = in.text(gpu, "certificates", nvidia_chain_bytes_max);
        bundle.gpus.push_back(std::move(evidence));
    }
    if (const Json* found = member(document, "gpu_service")) {
        const Json& service = in.object(found, "gpu_service", {"answer", "key_set"});
        in.required(service, "answer");
        in.required(service, "key_set");
        bundle.gpu_service = {in.text(service, "answer", nvidia_answer_bytes_max),
                              in.text(service, "key_set", nvidia_key_set_bytes_max)};
    }
}

void read_collateral(BundleReader& in, const Json* document, Bundle& bundle) {
    const Json& all = in.object(document, "collateral", {"tdx", "snp", "nvidia"});
    if (const Json* found = member(all, "tdx")) {
        auto collateral = read_tdx_collateral(found->dump());
        if (collateral)
            bundle.tdx = *std::move(collateral);
        else
            in.refuse_member("tdx", collateral.error().detail);
    }
    if (const Json* found = member(all, "snp")) {
        const Json& snp = in.object(
            found, "snp",
            {"key_certificate", "signer_certificate", "root_certificate", "revocation_list"});
        bundle.snp = {in.octets(snp, "key_certificate", certificate_bytes_max),
                      in.octets(snp, "signer_certificate", certificate_bytes_max),
                      in.octets(snp, "root_certificate", certificate_bytes_max),
                      in.octets(snp, "revocation_list", revocation_bytes_max)};
    }
    if (const Json* found = member(all, "nvidia")) {
        const Json& nvidia =
            in.object(found, "nvidia", {"manifests", "ocsp_responses", "revocation_lists"});
        bundle.nvidia = {
            in.pieces(nvidia, "manifests", nvidia_manifests_max, manifest_bytes_max),
            in.pieces(nvidia, "ocsp_responses", ocsp_answers_max, ocsp_response_bytes_max),
            in.pieces(nvidia, "revocation_lists", ocsp_answers_max, revocation_bytes_max)};
    }
}

Document written(const std::vector<Bytes>& pieces) {
    Document out = Document::array();
    for (const Bytes& piece : pieces) out.push_back(to_base64(piece));
    return out;
}

Document written(const SnpCollateral& snp) {
    Document out = Document::object();
    const auto put = [&out](const char* name, const Bytes& bytes) {
        if (!bytes.empty()) out[name] = to_base64(bytes);
    };
    put("key_certificate", snp.key_certificate);
    put("signer_certificate", snp.signer_certificate);
    put("root_certificate", snp.root_certificate);
    put("revocation_list", snp.revocation_list);
    return out;
}

}  // namespace

Result<Bundle> read_bundle(ByteView document) {
    auto json = parse_json(as_text(document), evidence_bytes_max);
    if (!json) return json.error();
    BundleReader in;
    const Json& root =
        in.object(&*json, "the bundle", {"version", "cpu", "gpus", "gpu_service", "collateral"});
    if (integer_at(root, "version") != bundle_version)
        in.refuse_member("version", "must be 1, the only one there is");
    Bundle bundle;
    read_cpu(in, root, bundle);
    read_gpus(in, root, bundle);
    read_collateral(in, member(root, "collateral"), bundle);
    if (!in.fault().empty()) return refuse(ErrorCode::malformed_request, in.fault());
    return bundle;
}

Result<void> add_collateral(Bundle& bundle, std::string_view json) {
    const auto document = parse_json(json, tdx_collateral_bytes_max);
    if (!document) return document.error();
    BundleReader in;
    read_collateral(in, &*document, bundle);
    if (!in.fault().empty()) return refuse(ErrorCode::malformed_request, in.fault());
    return {};
}

std::string write_bundle(const Bundle& bundle) {
    Document out{{"version", bundle_version}};
    if (const auto* tdx = std::get_if<TdxPart>(&bundle.cpu)) {
        out["cpu"] = {{"kind", "tdx"}, {"quote", to_base64(tdx->quote)}};
        if (!tdx->event_log.empty())
            out["cpu"]["event_log"] = Document::parse(tdx->event_log, nullptr, false);
        if (!tdx->firmware_log.empty()) out["cpu"]["firmware_log"] = to_base64(tdx->firmware_log);
    } else {
        out["cpu"] = {{"kind", "snp"}, {"report", to_base64(std::get<SnpPart>(bundle.cpu).report)}};
    }
    for (const NvidiaEvidence& gpu : bundle.gpus)
        out["gpus"].push_back(
            {{"report", to_base64(gpu.report)}, {"certificates", gpu.certificates}});
    if (bundle.gpu_service != NvidiaServiceEvidence{})
        out["gpu_service"] = {{"answer", bundle.gpu_service.answer},
                              {"key_set", bundle.gpu_service.key_set}};
    if (bundle.tdx != TdxCollateral{})
        out["collateral"]["tdx"] =
            Document::parse(write_tdx_collateral(bundle.tdx), nullptr, false);
    if (Document snp = written(bundle.snp); !snp.empty()) out["collateral"]["snp"] = std::move(snp);
    if (bundle.nvidia != NvidiaFiles{})
        out["collateral"]["nvidia"] = {
            {"manifests", written(bundle.nvidia.manifests)},
            {"ocsp_responses", written(bundle.nvidia.ocsp_responses)},
            {"revocation_lists", written(bundle.nvidia.revocation_lists)}};
    // What a host calls its certificates may be any bytes; a reader will refuse what is replaced.
    return out.dump(-1, ' ', false, Document::error_handler_t::replace);
}

}  // namespace cocoon::attestation
