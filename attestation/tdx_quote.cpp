#include "attestation/tdx_quote.hpp"

#include "attestation/reader.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::uint16_t key_type_p256 = 2;
constexpr std::uint32_t tee_type_tdx = 0x81;
constexpr std::array<std::uint8_t, 16> intel_qe_vendor = {
    0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07};
constexpr std::size_t report_1_0_bytes = 584, report_1_5_bytes = 648;
constexpr std::uint16_t body_report_1_0 = 2, body_report_1_5 = 3;
constexpr std::uint16_t certification_pck_chain = 5, certification_qe_report = 6;
constexpr std::size_t qe_report_bytes = 384;

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }

// Reads the 48 bytes of header; what is wrong with them, or nullptr.
const char* read_header(Reader& in, TdxQuote& quote) {
    quote.version = in.little<std::uint16_t>();
    const auto key_type = in.little<std::uint16_t>();
    const auto tee_type = in.little<std::uint32_t>();
    in.skip(4);  // SVNs of QE and PCE in other layouts; zero or not, they are signed
    const auto vendor = in.array<16>();
    quote.user_data = in.array<20>();
    if (!in.ok()) return "the quote ends within its header";
    if (quote.version != 4 && quote.version != 5) return "the quote's version is neither 4 nor 5";
    if (tee_type != tee_type_tdx) return "the quote is not of a TDX machine";
    if (key_type != key_type_p256) return "the quote's attestation key is not ECDSA P-256";
    if (vendor != intel_qe_vendor) return "the quote is not from Intel's quoting enclave";
    return nullptr;
}

void read_report(Reader& in, TdReport& report) {
    report.tee_tcb_svn = in.array<16>();
    report.mr_seam = in.array<48>();
    report.mr_signer_seam = in.array<48>();
    report.seam_attributes = in.array<8>();
    report.td_attributes = in.little<std::uint64_t>();
    report.xfam = in.little<std::uint64_t>();
    report.mr_td = in.array<48>();
    report.mr_config_id = in.array<48>();
    report.mr_owner = in.array<48>();
    report.mr_owner_config = in.array<48>();
    for (Digest384& rtmr : report.rtmr) rtmr = in.array<48>();
    report.report_data = in.array<64>();
    if (!report.version_1_5) return;
    report.tee_tcb_svn_2 = in.array<16>();
    report.mr_service_td = in.array<48>();
}

const char* read_body(Reader& in, TdxQuote& quote) {
    if (quote.version == 5) {
        const auto type = in.little<std::uint16_t>();
        const auto size = in.little<std::uint32_t>();
        if (type != body_report_1_0 && type != body_report_1_5)
            return "the quote's body is no TD report";
        quote.report.version_1_5 = type == body_report_1_5;
        if (size != (quote.report.version_1_5 ? report_1_5_bytes : report_1_0_bytes))
            return "the quote's body has another size than its type";
    }
    read_report(in, quote.report);
    return in.ok() ? nullptr : "the quote ends within its body";
}

// An SGX report body: Intel SGX DCAP Quoting Library API, A.4, "Enclave Report Body".
QeReport read_qe_report(ByteView bytes) {
    Reader in{bytes};
    QeReport report;
    report.cpu_svn = in.array<16>();
    report.misc_select = in.array<4>();
    in.skip(28);
    report.attributes = in.array<16>();
    report.mr_enclave = in.array<32>();
    in.skip(32);
    report.mr_signer = in.array<32>();
    in.skip(96);
    report.isv_prod_id = in.little<std::uint16_t>();
    report.isv_svn = in.little<std::uint16_t>();
    in.skip(60);
    report.report_data = in.array<64>();
    return report;
}

// Everything must end where the lengths around it say: `in` is exactly the signature data.
const char* read_signature_data(Reader in, TdxQuote& quote) {
    quote.signature = in.take(64);
    quote.attestation_key = in.take(64);
    const auto outer_type = in.little<std::uint16_t>();
    const auto outer_size = in.little<std::uint32_t>();
    if (!in.ok() || outer_size != in.left())
        return "the certification data does not fill the signature data";
    if (outer_type != certification_qe_report)
        return "the certification data is not a report of the quoting enclave";
    quote.qe_report_bytes = in.take(qe_report_bytes);
    quote.qe_report_signature = in.take(64);
    quote.qe_auth_data = in.take(in.little<std::uint16_t>());
    const auto inner_type = in.little<std::uint16_t>();
    const auto inner_size = in.little<std::uint32_t>();
    if (!in.ok() || inner_size != in.left())
        return "the PCK chain does not fill the certification data";
    if (inner_type != certification_pck_chain) return "the quote does not carry its PCK chain";
    quote.pck_chain = as_text(in.take_rest());
    quote.qe_report = read_qe_report(quote.qe_report_bytes);
    return nullptr;
}

}  // namespace

Result<TdxQuote> parse_tdx_quote(ByteView bytes) {
    if (bytes.size() > tdx_quote_bytes_max) return malformed("the quote is over its size limit");
    Reader in{bytes};
    TdxQuote quote;
    if (const char* fault = read_header(in, quote)) return malformed(fault);
    if (const char* fault = read_body(in, quote)) return malformed(fault);
    quote.signed_bytes = bytes.first(bytes.size() - in.left());
    const auto signature_bytes = in.little<std::uint32_t>();
    const ByteView signature_data = in.take(signature_bytes);
    if (!in.ok()) return malformed("the quote ends within its signature data");
    if (const char* fault = read_signature_data(Reader{signature_data}, quote))
        return malformed(fault);
    quote.trailing_bytes = in.left();
    return quote;
}

}  // namespace cocoon::attestation
