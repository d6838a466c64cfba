#include "attestation/lifetimes.hpp"

#include <algorithm>

#include "attestation/nvidia_manifest.hpp"
#include "attestation/tdx_quote.hpp"

namespace cocoon::attestation {
namespace {

class Gathering {
public:
    void certificate(const Certificate& certificate) {
        add("the certificate " + certificate.common_name(), certificate.not_before(),
            certificate.not_after());
    }
    void certificates(std::string_view pem) {
        if (pem.empty()) return;
        if (const auto chain = certificates_from_pem(pem))
            for (const Certificate& each : *chain) certificate(each);
    }
    void certificate(ByteView der) {
        if (der.empty()) return;
        if (const auto read = Certificate::from_der(der)) certificate(*read);
    }
    void list(ByteView der) {
        if (der.empty()) return;
        if (const auto read = RevocationList::from_der(der))
            add("the revocation list of " + read->issuer(), read->this_update(),
                read->next_update());
    }
    void add(std::string what, Instant begins, Instant ends) {
        Lifetime found{std::move(what), begins, ends};
        if (std::find(all_.begin(), all_.end(), found) == all_.end())
            all_.push_back(std::move(found));
    }
    std::vector<Lifetime> finish() {
        std::stable_sort(all_.begin(), all_.end(),
                         [](const Lifetime& a, const Lifetime& b) { return a.ends < b.ends; });
        return std::move(all_);
    }

private:
    std::vector<Lifetime> all_;
};

void gather(Gathering& out, const TdxPart& part, const TdxCollateral& tdx) {
    if (const auto quote = parse_tdx_quote(part.quote)) out.certificates(quote->pck_chain);
    if (const auto info = parse_tcb_info(tdx.tcb_info))
        out.add("Intel's TCB info of the family " + to_hex(info->fmspc), info->issue_date,
                info->next_update);
    if (const auto identity = parse_qe_identity(tdx.qe_identity))
        out.add("Intel's identity of the quoting enclave", identity->issue_date,
                identity->next_update);
    out.certificates(tdx.tcb_info_issuer_chain);
    out.certificates(tdx.qe_identity_issuer_chain);
    out.list(tdx.pck_crl);
    out.list(tdx.root_ca_crl);
}

void gather(Gathering& out, const SnpCollateral& snp) {
    for (const Bytes* der : {&snp.key_certificate, &snp.signer_certificate, &snp.root_certificate})
        out.certificate(*der);
    out.list(snp.revocation_list);
}

void gather(Gathering& out, const std::vector<NvidiaEvidence>& gpus, const NvidiaFiles& nvidia) {
    for (const NvidiaEvidence& gpu : gpus) out.certificates(gpu.certificates);
    for (const Bytes& document : nvidia.manifests)
        if (const auto manifest = parse_nvidia_manifest(document))
            for (const Certificate& each : manifest->signed_xml.certificates())
                out.certificate(each);
    for (const Bytes& list : nvidia.revocation_lists) out.list(list);
}

}  // namespace

std::vector<Lifetime> lifetimes(const Bundle& bundle) {
    Gathering out;
    if (const auto* tdx = std::get_if<TdxPart>(&bundle.cpu))
        gather(out, *tdx, bundle.tdx);
    else
        gather(out, bundle.snp);
    gather(out, bundle.gpus, bundle.nvidia);
    return out.finish();
}

std::optional<Lifetime> first_to_end(const Bundle& bundle, Duration life_min) {
    for (Lifetime& each : lifetimes(bundle))
        if (each.ends - each.begins >= life_min) return std::move(each);
    return std::nullopt;
}

}  // namespace cocoon::attestation
