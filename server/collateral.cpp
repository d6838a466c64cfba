#include "server/collateral.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "attestation/bundle.hpp"
#include "attestation/nvidia_manifest.hpp"
#include "attestation/revocation.hpp"
#include "attestation/tdx_pck.hpp"
#include "attestation/vendor_answer.hpp"
#include "core/log.hpp"
#include "sealing/signing.hpp"

namespace cocoon::server {
namespace {

using namespace attestation;

constexpr Duration fresh_monthly = days(30);  // what is signed once for all
constexpr Duration answer_age_max = RevocationRules{}.answer_age_max;
constexpr std::size_t nonce_bytes = 32;
constexpr std::uint8_t vlek_signed = 1;          // SnpReport::signing_key
constexpr std::uint32_t version_with_cpuid = 3;  // of SNP reports

using Answer = net::ClientResponse;
using Read = std::function<Result<CollateralPiece>(const Answer&)>;

// ---- Reading what is served, as far as its dates ------------------------------------------------

// The chain that Intel puts into a header, and when the first certificate of it ends.
Result<void> take_issuer_chain(CollateralPiece& piece, const Answer& answer,
                               std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        const std::string* header = answer.headers.find(name);
        if (!header) continue;
        auto chain = read_issuer_chain(*header);
        if (!chain) return chain.error();
        piece.issuer_chain = *std::move(chain);
        piece.ends = std::min(piece.ends,
                              chain_not_after(certificates_from_pem(piece.issuer_chain).value()));
        return {};
    }
    return refuse(ErrorCode::malformed_request, "the answer lacks its issuer chain");
}

template <class Parse>
Result<CollateralPiece> read_intel(const Answer& answer, std::string_view name, Parse parse,
                                   std::initializer_list<std::string_view> chain_names) {
    auto object = read_signed_text(answer.body, name);
    if (!object) return object.error();
    const auto parsed = parse(object->text);
    if (!parsed) return parsed.error();
    CollateralPiece piece{std::move(object->text),
                          std::move(object->signature),
                          {},
                          parsed->issue_date,
                          parsed->next_update};
    if (auto taken = take_issuer_chain(piece, answer, chain_names); !taken) return taken.error();
    return piece;
}

Result<CollateralPiece> read_tcb_info(const Answer& answer) {
    return read_intel(answer, "tcbInfo", parse_tcb_info,
                      {"TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"});
}

Result<CollateralPiece> read_qe_identity(const Answer& answer) {
    return read_intel(answer, "enclaveIdentity", parse_qe_identity,
                      {"SGX-Enclave-Identity-Issuer-Chain"});
}

Result<CollateralPiece> read_list(const Answer& answer) {
    const auto list = read_served_list(answer.body);
    if (!list) return list.error();
    return CollateralPiece{
        std::string{as_text(list->der())}, {}, {}, list->this_update(), list->next_update()};
}

Result<CollateralPiece> read_pck_list(const Answer& answer) {
    auto piece = read_list(answer);
    if (!piece) return piece;
    if (auto taken = take_issuer_chain(*piece, answer, {"SGX-PCK-CRL-Issuer-Chain"}); !taken)
        return taken.error();
    return piece;
}

Result<CollateralPiece> read_certificate(const Answer& answer) {
    const auto read = Certificate::from_der(as_bytes(answer.body));
    if (!read) return read.error();
    return CollateralPiece{answer.body, {}, {}, {}, read->not_after()};
}

// AMD's: the signer's certificate, then the root's.
Result<CollateralPiece> read_signers(const Answer& answer) {
    const auto chain = certificates_from_pem(answer.body, 2);
    if (!chain) return chain.error();
    if (chain->size() != 2)
        return refuse(ErrorCode::malformed_request, "the answer is not two certificates");
    return CollateralPiece{{}, {}, answer.body, {}, chain_not_after(*chain)};
}

Result<CollateralPiece> read_manifest(const Answer& answer) {
    auto document = read_served_manifest(answer.body);
    if (!document) return document.error();
    const auto manifest = parse_nvidia_manifest(*document);
    if (!manifest) return manifest.error();
    return CollateralPiece{std::string{as_text(*document)},
                           {},
                           {},
                           {},
                           chain_not_after(manifest->signed_xml.certificates())};
}

Instant end_of(const OcspAnswer& answer) {
    return answer.next_update.value_or(answer.this_update + answer_age_max);
}

Result<CollateralPiece> read_ocsp(const Answer& answer, const Certificate& certificate,
                                  const Certificate& issuer, const Bytes& nonce) {
    const auto response = OcspResponse::from_der(as_bytes(answer.body));
    if (!response) return response.error();
    const auto about = response->about(certificate, issuer);
    if (!about || about->state == RevocationState::unknown)
        return refuse(ErrorCode::not_found, "the responder does not know a certificate");
    // Responders may answer without a nonce, from answers made beforehand; not with another one.
    if (const auto echoed = response->nonce(); echoed && *echoed != nonce)
        return refuse(ErrorCode::malformed_request, "the responder answers another question");
    return CollateralPiece{answer.body, {}, {}, about->this_update, end_of(*about)};
}

// ---- What a report asks for ---------------------------------------------------------------------

std::optional<SnpProduct> product_of(const SnpReport& report, const SnpCollateral& collateral) {
    if (report.version >= version_with_cpuid)
        return snp_product_of(report.cpuid_family, report.cpuid_model);
    // Older reports do not say; the certificate of their key does, by its issuer's name.
    const auto key = Certificate::from_der(collateral.key_certificate);
    if (!key) return std::nullopt;
    for (const SnpProduct product : {SnpProduct::milan, SnpProduct::genoa, SnpProduct::turin})
        if (key->issuer().find(to_text(product)) != std::string::npos) return product;
    return std::nullopt;
}

// AMD 57230, "GET /vcek/v1/{product_name}/{hwID}?{parameters}".
std::string key_certificate_path(const SnpReport& report, SnpProduct product) {
    const SnpTcb tcb = snp_tcb(report.reported_tcb, product);
    const bool turin = product == SnpProduct::turin;
    std::string path = "/vcek/v1/" + std::string{to_text(product)} + "/" +
                       to_hex(ByteView{report.chip_id}.first(turin ? 8 : 64)) + "?";
    if (turin) path += "fmcSPL=" + std::to_string(tcb.fmc) + "&";
    return path + "blSPL=" + std::to_string(tcb.bootloader) + "&teeSPL=" + std::to_string(tcb.tee) +
           "&snpSPL=" + std::to_string(tcb.snp) + "&ucodeSPL=" + std::to_string(tcb.microcode);
}

bool is_masked(const SnpReport& report) {
    return std::all_of(report.chip_id.begin(), report.chip_id.end(),
                       [](std::uint8_t byte) { return byte == 0; });
}

std::vector<std::string> manifest_names(const NvidiaEvidence& gpu) {
    const auto report = parse_nvidia_report(gpu.report);
    const auto chain = certificates_from_pem(gpu.certificates);
    if (!report || !chain) return {};
    return nvidia_manifest_names(*report, nvidia_identity(chain->front()));
}

Bytes octets(const CollateralPiece& piece) { return Bytes{piece.body.begin(), piece.body.end()}; }

net::ClientRequest get(std::string path) {
    net::ClientRequest request;
    request.url = std::move(path);
    return request;
}

}  // namespace

// ---- One bundle ---------------------------------------------------------------------------------

class CollateralService::Completion {
public:
    Completion(CollateralService& service, NodeId node, Bundle& bundle, bool anew)
        : service_{service},
          node_{node},
          bundle_{bundle},
          anew_{anew},
          give_up_at_{service.clock_.now() + service.options_.patience} {}

    void run() {
        if (const auto* tdx = std::get_if<TdxPart>(&bundle_.cpu)) complete(*tdx);
        if (const auto* snp = std::get_if<SnpPart>(&bundle_.cpu)) complete(*snp);
        if (!bundle_.gpus.empty()) complete_gpus();
    }
    bool changed() const { return changed_; }
    api::CompletedEvidence finish(Bytes bytes) const {
        return {std::move(bytes), {missing_.begin(), missing_.end()}, vendor_down_};
    }

private:
    using Found = CollateralCache::Found;

    void complete(const TdxPart& part);
    void complete(const SnpPart& part);
    void complete_gpus();
    void keep_answers(const std::vector<Bytes>& before);
    void fetch_manifests();
    void ask_about(std::span<const Certificate> chain, std::size_t position, bool needed);

    Found find(CollateralSource& source, const net::ClientRequest& request,
               const CollateralUse& use, const Read& read, bool needed = true);
    template <class Parse>
    Found find_edition(const std::string& path, char next_parameter, const Read& read, Parse parse);
    Found find_named(CollateralSource& source, const std::string& name,
                     const net::ClientRequest& request, const CollateralUse& use, const Read& read,
                     bool needed);
    Result<CollateralPiece> fetch(CollateralSource& source, const net::ClientRequest& request,
                                  const Read& read);

    // Puts `newer` where `place` is empty or of an older edition.
    bool replaces(const Found& newer, bool empty, const std::function<Instant()>& issued) {
        if (!newer || (!empty && newer->issued <= issued())) return false;
        changed_ = true;
        return true;
    }
    void put_list(Bytes& place, const Found& list) {
        const auto issued = [&] {
            const auto own = RevocationList::from_der(place);
            return own ? own->this_update() : Instant{};
        };
        if (replaces(list, place.empty(), issued)) place = octets(*list);
    }

    CollateralService& service_;
    const NodeId node_;
    Bundle& bundle_;
    const bool anew_;
    const CollateralUse daily_{service_.options_.fresh_max};
    const Instant give_up_at_;
    bool changed_ = false, vendor_down_ = false;
    std::set<std::string> missing_;
};

CollateralService::Completion::Found CollateralService::Completion::find(
    CollateralSource& source, const net::ClientRequest& request, const CollateralUse& use,
    const Read& read, bool needed) {
    return find_named(source, source.name() + " " + request.url, request, use, read, needed);
}

CollateralService::Completion::Found CollateralService::Completion::find_named(
    CollateralSource& source, const std::string& name, const net::ClientRequest& request,
    const CollateralUse& use, const Read& read, bool needed) {
    if (!source.enabled()) return nullptr;
    const auto found = service_.cache_.get(name, use, [&] { return fetch(source, request, read); });
    if (found) return *found;
    if (needed) missing_.insert(found.error().detail);
    vendor_down_ |= needed && describe(found.error().code).retryable;
    return nullptr;
}

Result<CollateralPiece> CollateralService::Completion::fetch(CollateralSource& source,
                                                             const net::ClientRequest& request,
                                                             const Read& read) {
    const Instant now = service_.clock_.now();
    if (now > give_up_at_)
        return refuse(ErrorCode::deadline_exceeded, source.name() + " takes too long; try again");
    // The market's own questions are not the node's to use up: else a node could keep us from
    // hearing that it was revoked.
    if (!anew_) {
        const std::lock_guard lock{service_.mutex_};
        if (!service_.calls_.take(node_.value, now).allowed)
            return refuse(ErrorCode::rate_limited,
                          "this node has asked for too much collateral; try again later");
    }
    const auto answer = source.ask(request);
    if (!answer) return answer.error();
    auto piece = read(*answer);
    if (piece) {
        log::info("collateral_fetched", {{"source", source.name()}, {"ends", piece->ends.text()}});
        return piece;
    }
    log::warning("collateral_unusable", {{"source", source.name()}, {"why", piece.error().detail}});
    Error error = piece.error();
    error.detail = source.name() + ": " + error.detail;
    return error;
}

// What is served by default, unless a newer edition was seen: then that one by its number.
template <class Parse>
CollateralService::Completion::Found CollateralService::Completion::find_edition(
    const std::string& path, char next_parameter, const Read& read, Parse parse) {
    const auto usual = find(service_.tdx_, get(path), daily_, read);
    const std::uint32_t newest = service_.options_.evaluation_number_min();
    if (!usual) return usual;
    const auto parsed = parse(usual->body);
    if (!parsed || parsed->evaluation_number >= newest) return usual;
    const auto newer =
        find(service_.tdx_,
             get(path + next_parameter + "tcbEvaluationDataNumber=" + std::to_string(newest)),
             daily_, read, false);
    return newer ? newer : usual;
}

void CollateralService::Completion::complete(const TdxPart& part) {
    const auto quote = parse_tdx_quote(part.quote);
    if (!quote) return;
    const auto chain = certificates_from_pem(quote->pck_chain);
    if (!chain) return;
    const auto pck = read_pck_identity(chain->front());
    if (!pck) return;
    TdxCollateral& has = bundle_.tdx;
    const auto tcb_issued = [&] {
        const auto own = parse_tcb_info(has.tcb_info);
        return own ? own->issue_date : Instant{};
    };
    const auto info = find_edition("/tdx/certification/v4/tcb?fmspc=" + to_hex(pck->fmspc), '&',
                                   read_tcb_info, parse_tcb_info);
    if (replaces(info, has.tcb_info.empty(), tcb_issued)) {
        has.tcb_info = info->body;
        has.tcb_info_signature = info->signature;
        has.tcb_info_issuer_chain = info->issuer_chain;
    }
    const auto identity_issued = [&] {
        const auto own = parse_qe_identity(has.qe_identity);
        return own ? own->issue_date : Instant{};
    };
    const auto identity =
        find_edition("/tdx/certification/v4/qe/identity", '?', read_qe_identity, parse_qe_identity);
    if (replaces(identity, has.qe_identity.empty(), identity_issued)) {
        has.qe_identity = identity->body;
        has.qe_identity_signature = identity->signature;
        has.qe_identity_issuer_chain = identity->issuer_chain;
    }
    const bool processor = chain->front().issuer().find("Processor CA") != std::string::npos;
    const std::string authority = processor ? "processor" : "platform";
    const auto list =
        find(service_.tdx_, get("/sgx/certification/v4/pckcrl?ca=" + authority + "&encoding=der"),
             daily_, read_pck_list);
    const Bytes before = has.pck_crl;
    put_list(has.pck_crl, list);
    if (has.pck_crl != before) has.pck_crl_issuer_chain = list->issuer_chain;
    put_list(has.root_ca_crl, find(service_.tdx_root_list_, get(""), daily_, read_list));
}

void CollateralService::Completion::complete(const SnpPart& part) {
    const auto report = parse_snp_report(part.report);
    if (!report) return;
    SnpCollateral& has = bundle_.snp;
    const auto product = product_of(*report, has);
    if (!product) return;
    const bool vlek = report->signing_key == vlek_signed;
    // A VLEK's certificate is served to its cloud only: the node brings it.
    if (has.key_certificate.empty() && !vlek && !is_masked(*report)) {
        const auto key = find(service_.snp_, get(key_certificate_path(*report, *product)),
                              CollateralUse{fresh_monthly}, read_certificate);
        if (key) has.key_certificate = octets(*key), changed_ = true;
    }
    const std::string base = (vlek ? "/vlek/v1/" : "/vcek/v1/") + std::string{to_text(*product)};
    if (has.signer_certificate.empty() || has.root_certificate.empty()) {
        const auto found = find(service_.snp_, get(base + "/cert_chain"),
                                CollateralUse{fresh_monthly}, read_signers);
        if (found) {
            const auto chain = certificates_from_pem(found->issuer_chain).value();
            has.signer_certificate = chain[0].der();
            has.root_certificate = chain[1].der();
            changed_ = true;
        }
    }
    put_list(has.revocation_list, find(service_.snp_, get(base + "/crl"), daily_, read_list));
}

void CollateralService::Completion::complete_gpus() {
    // A node that brings manifests has brought those that it needs.
    if (bundle_.nvidia.manifests.empty()) fetch_manifests();
    // Answers that hold still say nothing of what was revoked since: what is known here comes
    // first, what a node brings fills the gaps.
    const std::vector<Bytes> before = std::exchange(bundle_.nvidia.ocsp_responses, {});
    std::vector<std::vector<Certificate>> devices, signers;
    for (const NvidiaEvidence& gpu : bundle_.gpus)
        if (auto chain = certificates_from_pem(gpu.certificates))
            devices.push_back(*std::move(chain));
    for (const Bytes& document : bundle_.nvidia.manifests)
        if (const auto manifest = parse_nvidia_manifest(document))
            signers.push_back(manifest->signed_xml.certificates());
    // The devices first: no other certificates that a node brings use up the patience.
    for (const auto& chain : devices)
        for (std::size_t i = 1; i + 1 < chain.size(); ++i) ask_about(chain, i, true);
    // NVIDIA does not answer for every leaf, and a policy need not ask.
    for (const auto& chain : devices)
        if (chain.size() > 1) ask_about(chain, 0, false);
    for (const auto& chain : signers)
        for (std::size_t i = 0; i + 1 < chain.size(); ++i) ask_about(chain, i, true);
    keep_answers(before);
}

// Beside the new ones: what the responder does not say now still counts until its end.
void CollateralService::Completion::keep_answers(const std::vector<Bytes>& before) {
    auto& has = bundle_.nvidia.ocsp_responses;
    const std::size_t used = write_bundle(bundle_).size();
    std::size_t room = evidence_bytes_max - std::min(used, evidence_bytes_max);
    for (const Bytes& answer : before) {
        const std::size_t cost = (answer.size() + 2) / 3 * 4 + 3;  // base64, quotes and a comma
        if (has.size() >= ocsp_answers_max || cost > room ||
            std::find(has.begin(), has.end(), answer) != has.end())
            continue;
        room -= cost;
        has.push_back(answer);
    }
}

void CollateralService::Completion::fetch_manifests() {
    std::set<std::string> names;
    for (const NvidiaEvidence& gpu : bundle_.gpus)
        for (std::string& name : manifest_names(gpu)) names.insert(std::move(name));
    for (const std::string& name : names) {
        if (bundle_.nvidia.manifests.size() >= nvidia_manifests_max) return;
        const auto found = find(service_.manifests_, get("/v1/rim/" + name),
                                CollateralUse{fresh_monthly}, read_manifest);
        if (!found) continue;
        bundle_.nvidia.manifests.push_back(octets(*found));
        changed_ = true;
    }
}

// Puts an answer about chain[position] into the bundle, unless it has one that is not over yet.
void CollateralService::Completion::ask_about(std::span<const Certificate> chain,
                                              std::size_t position, bool needed) {
    const Certificate &certificate = chain[position], &issuer = chain[position + 1];
    auto& has = bundle_.nvidia.ocsp_responses;
    if (!service_.ocsp_.enabled() || has.size() >= ocsp_answers_max) return;
    for (const Bytes& der : has) {
        const auto response = OcspResponse::from_der(der);
        const auto about = response ? response->about(certificate, issuer) : std::nullopt;
        if (about && service_.clock_.now() < end_of(*about)) return;
    }
    Bytes nonce(nonce_bytes);
    sealing::fill_random(nonce);
    const Bytes question = make_ocsp_request(certificate, issuer, nonce);
    net::ClientRequest request;
    request.method = "POST";
    request.headers.add("Content-Type", "application/ocsp-request");
    request.body = as_text(question);
    Bytes both = certificate.der();
    both.insert(both.end(), issuer.der().begin(), issuer.der().end());
    const auto found = find_named(
        service_.ocsp_, service_.ocsp_.name() + " " + to_hex(sha256(both)), request,
        CollateralUse{daily_.fresh_max, service_.options_.ocsp_stale_max},
        [&](const Answer& answer) { return read_ocsp(answer, certificate, issuer, nonce); },
        needed);
    if (!found) return;
    has.push_back(octets(*found));
    changed_ = true;
}

// ---- The service --------------------------------------------------------------------------------

static net::HttpClientOptions collateral_client(const CollateralOptions& options) {
    net::HttpClientOptions client;
    client.connect_timeout = std::min(client.connect_timeout, options.call_timeout);
    client.total_timeout = client.idle_timeout = options.call_timeout;
    client.response_bytes_max = vendor_answer_bytes_max;
    return client;
}

static std::string root_list_url(const CollateralUrls& urls) {
    if (!urls.tdx_root_list.empty() || urls.tdx.empty()) return urls.tdx_root_list;
    return urls.tdx + "/sgx/certification/v4/rootcacrl";
}

CollateralService::CollateralService(CollateralOptions options, const Clock& clock,
                                     Metrics& metrics)
    : options_{std::move(options)},
      clock_{clock},
      client_{collateral_client(options_)},
      cache_{clock, metrics, options_.cache},
      tdx_{{client_, cancel_, clock, metrics}, "the TDX collateral service", options_.urls.tdx},
      tdx_root_list_{{client_, cancel_, clock, metrics},
                     "the service of Intel's root list",
                     root_list_url(options_.urls)},
      snp_{{client_, cancel_, clock, metrics}, "the SEV-SNP collateral service", options_.urls.snp},
      manifests_{{client_, cancel_, clock, metrics},
                 "the NVIDIA manifest service",
                 options_.urls.manifests},
      ocsp_{{client_, cancel_, clock, metrics}, "the NVIDIA OCSP responder", options_.urls.ocsp},
      calls_{options_.calls_per_node} {}

api::CompletedEvidence CollateralService::complete(NodeId node, Bytes evidence) {
    return complete(node, std::move(evidence), false);
}

api::CompletedEvidence CollateralService::refresh(NodeId node, Bytes evidence) {
    return complete(node, std::move(evidence), true);
}

api::CompletedEvidence CollateralService::complete(NodeId node, Bytes evidence, bool anew) {
    auto bundle = read_bundle(evidence);
    if (!bundle) return {std::move(evidence), {}, false};
    Completion completion{*this, node, *bundle, anew};
    completion.run();
    if (!completion.changed()) return completion.finish(std::move(evidence));
    const std::string completed = write_bundle(*bundle);
    return completion.finish({completed.begin(), completed.end()});
}

}  // namespace cocoon::server
